metadata description = 'Types that several templates share.'

@export()
@description('Name of a device as its agent sends it; case and surrounding spaces do not matter. No comma, because lists of devices are separated by commas, and no line break.')
@minLength(1)
@maxLength(100)
type deviceName = string

@export()
@description('Address that is mailed. It must confirm a one-time passcode within 30 minutes of its first deployment.')
@minLength(3)
@maxLength(64)
type mailAddress = string

@export()
@description('Minutes of silence at which a reminder is sent.')
@minValue(6)
@maxValue(1440)
type reminderMinute = int

@export()
@description('When the rules speak.')
type timing = {
  @description('Minutes of silence from which a device counts as silent.')
  silenceMinutes: string

  @description('Minutes between two evaluations of a rule.')
  evaluationMinutes: string

  @description('Minutes of silence at which a reminder is sent.')
  reminderMarks: reminderMinute[]

  @description('Hour of the day, UTC, of the daily reminder after 24 hours of silence.')
  dailyReminderHour: int

  @description('Minutes of downtime from which an outage is reported when it is over.')
  reportMinutes: int
}
