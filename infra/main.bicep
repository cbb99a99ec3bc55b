metadata description = 'ispmon in one resource group: a function that receives heartbeats, the workspace that stores them, and the rules that mail when they stop.'

import { deviceName, mailAddress, reminderMinute } from 'modules/types.bicep'
import {
  checkedAddresses
  checkedBudgetStart
  checkedDailyCap
  checkedDevices
  checkedPackage
  checkedPrefix
} from 'modules/checks.bicep'
import { byteCount, jsonEscaped, kustoLiteral } from 'modules/text.bicep'

targetScope = 'resourceGroup'

@description('Azure region of all resources.')
param location string = resourceGroup().location

@description('Prefix of all names: letters, digits and single hyphens, beginning with a letter, not ending with a hyphen.')
@minLength(2)
@maxLength(16)
param prefix string = 'ispmon'

@description('Devices that must send heartbeats. No alert fires for a device that is not listed. Each device is charged as one time series of its rule.')
@minLength(1)
@maxLength(5000)
param devices deviceName[]

@description('Addresses that get the mails.')
@minLength(1)
@maxLength(100)
param mailAddresses mailAddress[]

@description('Whether the owners of the subscription get the mails too. Their addresses need no passcode.')
param mailOwners bool = true

@description('URLs that are called in addition to the mails, with the common alert schema, separated by commas; empty for none. They must be public and begin with https://. Slack and Teams do not understand this schema: put a Logic App in between.')
@secure()
param webhookUrls string = ''

@description('Minutes of silence from which a device counts as silent. Less than 5 would raise an alarm for a single late heartbeat.')
@allowed([
  '5'
  '5.5'
  '6'
  '6.5'
  '7'
  '7.5'
  '8'
  '9'
  '10'
  '12'
  '15'
  '20'
  '30'
  '45'
  '60'
])
param silenceMinutes string = '5'

@description('Minutes between two evaluations of a rule. A longer time costs less, and mails come later: silence is mailed within silenceMinutes + evaluationMinutes, and its end at the third evaluation that finds heartbeats again (the second with 15). 1 is experimental and applies to the rule about silence only, the others are evaluated every 5 minutes; at most 100 rules of a subscription may run every minute.')
@allowed([
  '1'
  '5'
  '10'
  '15'
])
param evaluationMinutes string = '5'

@description('Minutes of silence at which a reminder is sent. A mark less than one minute beyond silenceMinutes only repeats the first mail.')
@minLength(1)
@maxLength(100)
param reminderMarks reminderMinute[] = [
  10
  15
  20
  25
  30
  35
  40
  45
  50
  55
  60
  120
  180
  240
  300
  360
  420
  480
  540
  600
  660
  720
  780
  840
  900
  960
  1020
  1080
  1140
  1200
  1260
  1320
  1380
  1440
]

@description('Hour of the day, UTC, of the daily reminder after 24 hours of silence.')
@minValue(0)
@maxValue(23)
param dailyReminderHour int = 8

@description('Minimum downtime in minutes of an outage that is reported when it is over, with cause, responsible party, start and end. Each report is charged as one time series of its rule while its query returns it, six to seven hours.')
@minValue(1)
@maxValue(1440)
param reportMinutes int = 5

@description('Whether the rules, and the alerts that monitor them, are deployed. Without them no mail is sent: the first of two deployments of a new resource group leaves them out until a heartbeat can be queried.')
param rulesEnabled bool = true

@description('Name of the function\'s runtime. The host starts the custom handler with any runtime, so node or python work in a region that does not offer custom.')
@minLength(1)
param runtimeName string = 'custom'

@description('Version of the runtime, for instance 1.0 for custom, 22 for node, 3.12 for python.')
@minLength(1)
param runtimeVersion string = '1.0'

@description('Instances of the function that may run at the same time.')
@minValue(1)
@maxValue(1000)
param maxInstances int = 2

@description('Gigabytes a day after which the workspace accepts no more data until the next day; -1 for no limit. A device writes about 2.4 MB a day.')
@minValue(-1)
@maxValue(1000)
param dailyCapGb int = 1

@description('Monthly costs, in the currency of the subscription; a mail is sent at 80 % of them; 0 for no budget.')
@minValue(0)
param budgetAmount int = 0

@description('First day of the month from which the budget counts, such as 2026-12-01; required with a budget, and not to be changed later.')
@maxLength(10)
param budgetStart string = ''

@description('URL of a zip of the function to deploy, beginning with https://; empty to deploy no code. Azure must be able to read it.')
param packageUri string = ''

// --- Values, checked beyond what their types can express

var validPrefix = checkedPrefix(prefix)
var validDevices = checkedDevices(devices)
var validAddresses = checkedAddresses(mailAddresses)
var validDailyCapGb = checkedDailyCap(dailyCapGb, length(validDevices))

// --- Names

// Names that must be unique in all of Azure end with a hash of this resource group and prefix, 13 characters.
var uniqueSuffix = uniqueString(resourceGroup().id, toLower(validPrefix))
var appName = toLower('${validPrefix}-${uniqueSuffix}')
var storageAccountName = toLower('${take(replace(validPrefix, '-', ''), 11)}${uniqueSuffix}')
var deploymentContainer = 'packages'
var workspaceName = '${validPrefix}-logs'
var componentName = '${validPrefix}-insights'

// --- Sets of devices

// A rule may hold 64 KB, its query included, and a stateful one 300 alerts. So a rule gets 200 devices, or fewer
// when a name is so long, or so full of characters that need escaping, that 200 of its kind would not fit.
var maxDevicesPerRule = 200
var maxDeviceBytesPerRule = 49152
var longestDevice = reduce(
  map(validDevices, device => byteCount(jsonEscaped(kustoLiteral(device))) + 2),
  1,
  (longest, bytes) => max(longest, bytes)
)
var devicesPerSet = min(maxDevicesPerRule, maxDeviceBytesPerRule / longestDevice)
var deviceSets = map(
  range(0, (length(validDevices) + devicesPerSet - 1) / devicesPerSet),
  index => take(skip(validDevices, index * devicesPerSet), devicesPerSet)
)
// Suffix of the names of each set's rules.
var suffixes = map(range(0, length(deviceSets)), index => index == 0 ? '' : '-${index + 1}')

// --- Receivers of the mails

module actionGroup 'modules/action-group.bicep' = {
  params: {
    prefix: validPrefix
    mailAddresses: validAddresses
    mailOwners: mailOwners
    webhookUrls: webhookUrls
  }
}

// --- Storage of heartbeats

module telemetry 'modules/telemetry.bicep' = {
  params: {
    location: location
    workspaceName: workspaceName
    componentName: componentName
    dailyCapGb: validDailyCapGb
    actionGroupId: actionGroup.outputs.actionGroupId
  }
}

// --- Function that receives heartbeats

module storage 'modules/storage.bicep' = {
  params: {
    location: location
    accountName: storageAccountName
    containerName: deploymentContainer
  }
}

module appIdentity 'modules/identity.bicep' = {
  params: {
    location: location
    identityName: '${validPrefix}-app-identity'
  }
}

module appRoles 'modules/app-roles.bicep' = {
  params: {
    #disable-next-line what-if-short-circuiting // Only the principal id allows the identity to be recreated.
    principalId: appIdentity.outputs.principalId
    accountName: storageAccountName
    componentName: componentName
  }
  dependsOn: [
    storage
    telemetry
  ]
}

module functionApp 'modules/function-app.bicep' = {
  params: {
    location: location
    planName: '${validPrefix}-plan'
    appName: appName
    identityId: appIdentity.outputs.identityId
    clientId: appIdentity.outputs.clientId
    blobEndpoint: storage.outputs.blobEndpoint
    containerName: deploymentContainer
    componentName: componentName
    runtimeName: runtimeName
    runtimeVersion: runtimeVersion
    maxInstances: maxInstances
    devices: validDevices
    packageUri: checkedPackage(packageUri)
  }
  // The app reads its storage as soon as it starts.
  dependsOn: [
    appRoles
  ]
}

// --- Rules that mail when heartbeats stop

module alertIdentity 'modules/identity.bicep' = {
  params: {
    location: location
    identityName: '${validPrefix}-alert-identity'
  }
}

module alertRoles 'modules/alert-roles.bicep' = {
  params: {
    #disable-next-line what-if-short-circuiting // Only the principal id allows the identity to be recreated.
    principalId: alertIdentity.outputs.principalId
    workspaceName: workspaceName
    componentName: componentName
  }
  dependsOn: [
    telemetry
  ]
}

module rules 'modules/rules.bicep' = [
  for (deviceSet, index) in deviceSets: if (rulesEnabled) {
    params: {
      location: location
      prefix: validPrefix
      suffix: suffixes[index]
      componentId: telemetry.outputs.componentId
      workspaceId: telemetry.outputs.workspaceResourceId
      identityId: alertIdentity.outputs.identityId
      actionGroupId: actionGroup.outputs.actionGroupId
      devices: deviceSet
      times: {
        silenceMinutes: silenceMinutes
        evaluationMinutes: evaluationMinutes
        reminderMarks: reminderMarks
        dailyReminderHour: dailyReminderHour
        reportMinutes: reportMinutes
      }
    }
    dependsOn: [
      alertRoles
    ]
  }
]

module selfMonitoring 'modules/self-monitoring.bicep' = if (rulesEnabled) {
  params: {
    location: location
    prefix: validPrefix
    workspaceId: telemetry.outputs.workspaceResourceId
    identityId: alertIdentity.outputs.identityId
    actionGroupId: actionGroup.outputs.actionGroupId
    hasDailyCap: validDailyCapGb > 0
  }
  dependsOn: [
    alertRoles
  ]
}

module budget 'modules/budget.bicep' = if (budgetAmount > 0) {
  params: {
    prefix: validPrefix
    amount: budgetAmount
    startDate: checkedBudgetStart(budgetStart, budgetAmount)
    mailAddresses: validAddresses
  }
}

// --- Workbook

module workbook 'modules/workbook.bicep' = {
  params: {
    location: location
    prefix: validPrefix
    componentId: telemetry.outputs.componentId
  }
}

@description('Name of the function app.')
output functionAppName string = appName

@description('URL that receives heartbeats.')
output functionUrl string = functionApp.outputs.functionUrl

@description('Name of the storage account of the function app.')
output storageAccountName string = storageAccountName

@description('Container of that account with the deployed package.')
output deploymentContainer string = deploymentContainer

@description('Name of the Log Analytics workspace.')
output workspaceName string = workspaceName

@description('Id of the workspace in the query API.')
output workspaceId string = telemetry.outputs.workspaceCustomerId

@description('Name of the Application Insights component that stores the heartbeats.')
output componentName string = componentName

@description('Name of the action group that sends the mails.')
output actionGroupName string = actionGroup.outputs.actionGroupName

@description('Principal id of the identity of the function app, to which its roles are assigned.')
output identityPrincipalId string = appIdentity.outputs.principalId

@description('Names of the rules; empty when rulesEnabled is false.')
output ruleNames string[] = rulesEnabled
  ? concat(
      flatten(map(suffixes, suffix => [
        '${validPrefix}-device-silent${suffix}'
        '${validPrefix}-device-silent-reminder${suffix}'
        '${validPrefix}-outage-report${suffix}'
      ])),
      validDailyCapGb > 0 ? ['${validPrefix}-daily-cap'] : []
    )
  : []
