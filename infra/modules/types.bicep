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
