// Every value comes from the environment, so that one .env file sets them all. `snapshot.sh` sets those of
// main.snapshot.json. A default here must equal the one in main.bicep.
using './main.bicep'

import {
  addressesProblem
  budgetStartProblem
  dailyCapProblem
  devicesProblem
  prefixProblem
  urlsProblem
} from 'modules/checks.bicep'

// A list is separated by commas; spaces around its entries do not matter. A list that is too long for one
// variable continues in the next: Linux accepts 128 KiB per variable.
var deviceLists = [
  readEnvironmentVariable('HEARTBEAT_DEVICE_2', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_3', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_4', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_5', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_6', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_7', '')
  readEnvironmentVariable('HEARTBEAT_DEVICE_8', '')
]
var moreDevices = flatten(map(deviceLists, list => empty(trim(list)) ? [] : split(list, ',')))
var deviceList = concat(split(readEnvironmentVariable('HEARTBEAT_DEVICE'), ','), moreDevices)
var addressList = split(readEnvironmentVariable('ALERT_EMAIL'), ',')
var markList = readEnvironmentVariable('REMINDER_MINUTES', '')

// Every 5 minutes from 10 to 60, then every hour to 24.
var defaultMarks = concat(map(range(2, 11), step => step * 5), map(range(2, 23), hour => hour * 60))

// Refuse what the templates would refuse already when the parameters are built, before anything is created.
// fail() is not available there; int() of a sentence fails as well.
var addresses = map(addressList, address => trim(address))
var problems = filter(
  [
    prefixProblem(prefix)
    devicesProblem(devices)
    addressesProblem(addresses)
    // Read the variable, because the parameter is secure. The sentence does not contain the value.
    urlsProblem(readEnvironmentVariable('ALERT_WEBHOOK', ''))
    dailyCapProblem(dailyCapGb, length(devices))
    budgetStartProblem(budgetStart, budgetAmount)
  ],
  problem => !empty(problem)
)

param location = readEnvironmentVariable('LOCATION', 'westeurope')
param prefix = readEnvironmentVariable('PREFIX', 'ispmon')
param devices = map(deviceList, device => trim(device))
param mailAddresses = empty(problems) ? addresses : [string(int('REFUSED: ${join(problems, ' ')}'))]
param mailOwners = bool(readEnvironmentVariable('ALERT_OWNERS', 'true'))
param webhookUrls = readEnvironmentVariable('ALERT_WEBHOOK', '')
param silenceMinutes = readEnvironmentVariable('SILENCE_MINUTES', '5')
param evaluationMinutes = readEnvironmentVariable('EVALUATION_MINUTES', '5')
param reminderMarks = empty(markList) ? defaultMarks : map(split(markList, ','), mark => int(trim(mark)))
param dailyReminderHour = int(readEnvironmentVariable('DAILY_REMINDER_HOUR', '8'))
param reportMinutes = int(readEnvironmentVariable('REPORT_MINUTES', '5'))
param rulesEnabled = bool(readEnvironmentVariable('RULES_ENABLED', 'true'))
param runtimeName = readEnvironmentVariable('RUNTIME_NAME', 'custom')
param runtimeVersion = readEnvironmentVariable('RUNTIME_VERSION', '1.0')
param maxInstances = int(readEnvironmentVariable('MAX_INSTANCES', '2'))
param dailyCapGb = int(readEnvironmentVariable('DAILY_CAP_GB', '1'))
param budgetAmount = int(readEnvironmentVariable('BUDGET_AMOUNT', '0'))
param budgetStart = readEnvironmentVariable('BUDGET_START', '')
