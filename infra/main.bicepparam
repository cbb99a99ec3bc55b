// Every value comes from the environment, so that one .env file sets them all. `snapshot.sh` names the
// values with which main.snapshot.json was made.
using './main.bicep'

// A list is separated by commas; spaces around its entries do not matter.
var deviceList = split(readEnvironmentVariable('HEARTBEAT_DEVICE'), ',')
var addressList = split(readEnvironmentVariable('ALERT_EMAIL'), ',')
var markList = readEnvironmentVariable('REMINDER_MINUTES', '')

// Every 5 minutes from 10 to 60, then every hour to 24.
var defaultMarks = concat(map(range(2, 11), step => step * 5), map(range(2, 23), hour => hour * 60))

param location = readEnvironmentVariable('LOCATION', 'westeurope')
param prefix = readEnvironmentVariable('PREFIX', 'ispmon')
param devices = map(deviceList, device => trim(device))
param mailAddresses = map(addressList, address => trim(address))
param webhookUrl = readEnvironmentVariable('ALERT_WEBHOOK', '')
param silenceMinutes = readEnvironmentVariable('SILENCE_MINUTES', '5')
param evaluationMinutes = readEnvironmentVariable('EVALUATION_MINUTES', '5')
param reminderMarks = empty(markList) ? defaultMarks : map(split(markList, ','), mark => int(trim(mark)))
param dailyReminderHour = int(readEnvironmentVariable('DAILY_REMINDER_HOUR', '8'))
param reportMinutes = int(readEnvironmentVariable('REPORT_MINUTES', '5'))
