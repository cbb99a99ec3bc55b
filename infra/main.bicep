metadata description = 'ispmon in one resource group: where heartbeats are kept, and the rules that mail when they stop.'

import { deviceName, mailAddress, reminderMinute } from 'modules/types.bicep'

targetScope = 'resourceGroup'

@description('Azure region of all resources.')
param location string = resourceGroup().location

@description('Beginning of all names: letters, digits and hyphens, beginning with a letter.')
@minLength(2)
@maxLength(16)
param prefix string

@description('Devices that must send heartbeats. A device that is not listed is never alerted on. Each device is charged as one time series of the rule.')
@minLength(1)
@maxLength(250)
param devices deviceName[]

@description('Addresses that are mailed.')
@minLength(1)
@maxLength(100)
param mailAddresses mailAddress[]

@description('URL that is called beside the mails, with the common alert schema; empty for none. It must be public. Slack and Teams do not understand this schema: put a Logic App between.')
@secure()
param webhookUrl string

@description('Minutes of silence from which a device counts as silent. Less than 5 would alarm on single late heartbeats.')
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
param silenceMinutes string

@description('Minutes between two evaluations of a rule. More is cheaper and later: silence is mailed within silenceMinutes + evaluationMinutes, and its end at the third evaluation that finds heartbeats again (the second with 15).')
@allowed([
  '5'
  '10'
  '15'
])
param evaluationMinutes string

@description('Minutes of silence at which a reminder is sent. Marks that are not at least one minute beyond silenceMinutes remind of nothing new.')
@minLength(1)
@maxLength(100)
param reminderMarks reminderMinute[]

@description('Hour of the day, UTC, of the daily reminder after 24 hours of silence.')
@minValue(0)
@maxValue(23)
param dailyReminderHour int

@description('Minutes of downtime from which an outage is reported when it is over: what failed, whose part it is, from when to when. Each report is charged as one time series of its rule while its query yields it, six to seven hours.')
@minValue(1)
@maxValue(1440)
param reportMinutes int

// Devices are compared trimmed and in lower case everywhere, so the same name twice is one device.
var comparedDevices = map(devices, device => toLower(trim(device)))
var distinctDevices = filter(devices, (device, index) => indexOf(comparedDevices, toLower(trim(device))) == index)
var unusableDevices = filter(
  devices,
  device => empty(trim(device)) || contains(device, ',') || contains(device, '\n') || contains(device, '\r')
)
var checkedDevices = empty(unusableDevices)
  ? distinctDevices
  : fail('Device names must not be blank and must hold no comma and no line break: ${string(unusableDevices)}')

var workspaceName = '${prefix}-logs'
var componentName = '${prefix}-insights'

module telemetry 'modules/telemetry.bicep' = {
  params: {
    location: location
    workspaceName: workspaceName
    componentName: componentName
  }
}

module alertIdentity 'modules/alert-identity.bicep' = {
  params: {
    location: location
    identityName: '${prefix}-alert-identity'
    workspaceName: workspaceName
    componentName: componentName
  }
  dependsOn: [
    telemetry
  ]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    location: location
    prefix: prefix
    componentId: telemetry.outputs.componentId
    identityId: alertIdentity.outputs.identityId
    devices: checkedDevices
    mailAddresses: mailAddresses
    webhookUrl: webhookUrl
    silenceMinutes: silenceMinutes
    evaluationMinutes: evaluationMinutes
    reminderMarks: reminderMarks
    dailyReminderHour: dailyReminderHour
    reportMinutes: reportMinutes
  }
}

@description('Name of the Application Insights component that keeps the heartbeats.')
output componentName string = componentName
