metadata description = 'Types that several templates share.'

@export()
@description('Name of a device as its agent sends it; case and surrounding spaces do not matter. No comma, because lists of devices are separated by commas, and no line break.')
@minLength(1)
@maxLength(100)
type deviceName = string

@export()
@description('Address that gets the mails. Its owner must confirm a one-time passcode within 30 minutes of its first deployment.')
@minLength(3)
@maxLength(64)
type mailAddress = string

@export()
@description('Minutes of silence at which a reminder is sent.')
@minValue(6)
@maxValue(1440)
type reminderMinute = int

@export()
@description('Thresholds and times of the rules.')
type timing = {
  @description('Minutes of silence from which a device counts as silent.')
  silenceMinutes: string

  @description('Minutes between two evaluations of a rule.')
  evaluationMinutes: string

  @description('Minutes of silence at which a reminder is sent.')
  reminderMarks: reminderMinute[]

  @description('Hour of the day, UTC, of the daily reminder after 24 hours of silence.')
  dailyReminderHour: int

  @description('Minimum downtime in minutes of an outage that is reported when it is over.')
  reportMinutes: int
}
