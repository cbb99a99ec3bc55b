metadata description = 'Who is told, and when: the action group and the alert rules.'

import { deviceName, mailAddress, reminderMinute } from 'types.bicep'

@description('Azure region of the rules.')
param location string

@description('Beginning of all names.')
param prefix string

@description('Resource id of the Application Insights component that the rules query.')
param componentId string

@description('Resource id of the identity with Reader on the component and its workspace, under which the rules run.')
param identityId string

@description('Devices that must send heartbeats.')
@minLength(1)
@maxLength(250)
param devices deviceName[]

@description('Addresses that are mailed.')
@minLength(1)
param mailAddresses mailAddress[]

@description('URL that is called with the common alert schema, or empty.')
@secure()
param webhookUrl string

@description('Minutes of silence from which a device counts as silent.')
param silenceMinutes string

@description('Minutes between two evaluations of a rule.')
param evaluationMinutes string

@description('Minutes of silence at which a reminder is sent.')
@minLength(1)
param reminderMarks reminderMinute[]

@description('Hour of the day, UTC, of the daily reminder after 24 hours of silence.')
@minValue(0)
@maxValue(23)
param dailyReminderHour int

@description('Minutes of downtime from which an outage is reported when it is over.')
@minValue(1)
@maxValue(1440)
param reportMinutes int

var evaluationFrequency = 'PT${evaluationMinutes}M'

// String literals of the Kusto query language: a backslash and a quote are escaped by a backslash.
var deviceLiterals = map(devices, device => '\'${replace(replace(device, '\\', '\\\\'), '\'', '\\\'')}\'')

var deviceSilentQuery = replace(
  trim(loadTextContent('../queries/device-silent.kql')),
  '\'DEVICES\'',
  join(deviceLiterals, ', ')
)

// The devices come last: a name is never searched for placeholders.
var deviceSilentReminderQuery = replace(
  replace(
    replace(
      replace(
        replace(
          trim(loadTextContent('../queries/device-silent-reminder.kql')),
          '\'SILENCE_MINUTES\'',
          '\'${silenceMinutes}\''
        ),
        '\'FREQUENCY_MINUTES\'',
        '\'${evaluationMinutes}\''
      ),
      '\'DAILY_HOUR\'',
      '\'${dailyReminderHour}\''
    ),
    '\'MARKS\'',
    join(map(reminderMarks, mark => string(mark)), ', ')
  ),
  '\'DEVICES\'',
  join(deviceLiterals, ', ')
)

var outageReportQuery = replace(
  replace(trim(loadTextContent('../queries/outage-report.kql')), '\'MINIMUM_MINUTES\'', '\'${reportMinutes}\''),
  '\'DEVICES\'',
  join(deviceLiterals, ', ')
)

// What an outage report says, one dimension each: a mail shows nothing else of a query's result. In the order
// of the alphabet, so that a dimension has the same place whether Azure keeps this order or sorts.
var outageReportDimensions = [
  'Cause'
  'Computer'
  'Duration'
  'End'
  'Id'
  'Start'
]

// Paths into the common alert schema, which Azure fills in when it writes the mail:
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-customize-email-subject-how-to
var firstDimension = '\${data.alertContext.condition.allOf[0].dimensions[0].value}'
var outageCause = firstDimension
var outageDevice = '\${data.alertContext.condition.allOf[0].dimensions[1].value}'
var outageDuration = '\${data.alertContext.condition.allOf[0].dimensions[2].value}'
var outageStart = '\${data.alertContext.condition.allOf[0].dimensions[5].value}'
var monitorCondition = '\${data.essentials.monitorCondition}'

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${prefix}-people'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: take(prefix, 12)
    emailReceivers: [
      for address in mailAddresses: {
        name: address
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
    webhookReceivers: empty(webhookUrl)
      ? []
      : [
          {
            name: 'webhook'
            serviceUri: webhookUrl
            useCommonAlertSchema: true
          }
        ]
  }
}

resource deviceSilent 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-device-silent'
  location: location
  kind: 'LogAlert'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    displayName: '${prefix}: device silent'
    description: 'A device has sent no heartbeat for ${silenceMinutes} minutes or longer: its internet connection, its power or the agent is down, or the cloud side does not receive. A Resolved mail follows when its heartbeats are back.'
    severity: 1
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: evaluationFrequency
    windowSize: evaluationFrequency
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: deviceSilentQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'silentMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: json(silenceMinutes)
          dimensions: [
            {
              name: 'Computer'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    // One mail when a device falls silent and one when it is back. Must not be combined with muteActionsDuration.
    autoMitigate: true
    // The table may still be unknown to a component that was created seconds ago.
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroup.id
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: ${monitorCondition}: silence of ${firstDimension}'
      }
    }
  }
}

resource deviceSilentReminder 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-device-silent-reminder'
  location: location
  kind: 'LogAlert'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    displayName: '${prefix}: devices still silent'
    description: 'Names every device that is still silent. Sent when the silence of one of them reaches a mark, and after 24 hours of silence once a day.'
    severity: 2
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: evaluationFrequency
    windowSize: evaluationFrequency
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: deviceSilentReminderQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'longestMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: json(silenceMinutes)
          dimensions: [
            {
              name: 'Computer'
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    // Each evaluation that yields a row mails, and none of these alerts ever resolves.
    autoMitigate: false
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroup.id
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: still silent: ${firstDimension}'
      }
    }
  }
}

resource outageReport 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-outage-report'
  location: location
  kind: 'LogAlert'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    displayName: '${prefix}: outage report'
    description: 'An outage of ${reportMinutes} minutes or longer is over, and the device has handed over what it recorded: which part failed, whose it is, from when to when, and for how long the internet was down in that time. The times are UTC. Sent once.'
    severity: 3
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: evaluationFrequency
    windowSize: evaluationFrequency
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: outageReportQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'downtimeMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: reportMinutes
          dimensions: [
            for name in outageReportDimensions: {
              name: name
              operator: 'Include'
              values: [
                '*'
              ]
            }
          ]
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    // The query yields an outage for six hours, so that a late row is not missed. A stateful rule mails it once all
    // the same; a stateless one would mail it at each evaluation.
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroup.id
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: outage of ${outageDevice}: ${outageDuration}, ${outageCause}, from ${outageStart}'
      }
    }
  }
}

// An outage report "resolves" when the query stops yielding it. That is no news.
resource outageReportResolved 'Microsoft.AlertsManagement/actionRules@2021-08-08' = {
  name: '${prefix}-outage-report-resolved'
  location: 'Global'
  properties: {
    description: 'Lets the rule ${outageReport.name} send no mail when its alerts resolve.'
    enabled: true
    // Covers whatever Azure takes for the target of the alert, the component or its workspace. Were the rule itself
    // the scope, this would concern alerts about the rule.
    scopes: [
      resourceGroup().id
    ]
    conditions: [
      {
        field: 'AlertRuleId'
        operator: 'Equals'
        values: [
          outageReport.id
        ]
      }
      {
        field: 'MonitorCondition'
        operator: 'Equals'
        values: [
          'Resolved'
        ]
      }
    ]
    actions: [
      {
        actionType: 'RemoveAllActionGroups'
      }
    ]
  }
}
