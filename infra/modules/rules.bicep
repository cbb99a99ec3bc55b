metadata description = 'The alert rules of up to 200 devices: silence, reminders, outage reports.'

import { deviceName, timing } from 'types.bicep'
import { filledTemplate, kustoLiteral } from 'text.bicep'

@description('Azure region of the rules.')
param location string

@description('Prefix of all names.')
param prefix string

@description('Suffix of all names, which distinguishes several sets of rules; empty for the first.')
param suffix string

@description('Resource id of the Application Insights component that the rules query.')
param componentId string

@description('Resource id of its workspace, which the one-minute form of a rule queries.')
param workspaceId string

@description('Resource id of the identity under which the rules run. It must have the role Reader on both already.')
param identityId string

@description('Resource id of the action group.')
param actionGroupId string

@description('Devices that must send heartbeats.')
@maxLength(200)
param devices deviceName[]

@description('Thresholds and times of the rules.')
param times timing

// In rules that run every minute, Azure refuses joins, and the table `traces` of a component. So only the rule about
// silence runs that often, with a different query on the workspace; the others run every five minutes.
var isEveryMinute = times.evaluationMinutes == '1'
var slowMinutes = isEveryMinute ? '5' : times.evaluationMinutes

var deviceLiterals = join(map(devices, device => kustoLiteral(device)), ', ')

var deviceSilentQuery = isEveryMinute
  ? filledTemplate(loadTextContent('../queries/device-silent-minute.kql'), [
      { placeholder: 'COMPONENT_ID', value: kustoLiteral(toLower(componentId)) }
      { placeholder: 'DEVICES', value: deviceLiterals }
    ])
  : filledTemplate(loadTextContent('../queries/device-silent.kql'), [
      { placeholder: 'DEVICES', value: deviceLiterals }
    ])

var deviceSilentReminderQuery = filledTemplate(loadTextContent('../queries/device-silent-reminder.kql'), [
  { placeholder: 'SILENCE_MINUTES', value: kustoLiteral(times.silenceMinutes) }
  { placeholder: 'FREQUENCY_MINUTES', value: kustoLiteral(slowMinutes) }
  { placeholder: 'DAILY_HOUR', value: kustoLiteral(string(times.dailyReminderHour)) }
  { placeholder: 'MARKS', value: join(map(times.reminderMarks, mark => string(mark)), ', ') }
  { placeholder: 'DEVICES', value: deviceLiterals }
])

var outageReportQuery = filledTemplate(loadTextContent('../queries/outage-report.kql'), [
  { placeholder: 'MINIMUM_MINUTES', value: kustoLiteral(string(times.reportMinutes)) }
  { placeholder: 'DEVICES', value: deviceLiterals }
])

// The columns by which a rule's alerts are split. A mail shows no other part of a result. They are in alphabetical
// order, so that a dimension has the same index whether Azure keeps this order or sorts.
var deviceSilentDimensions = [
  'Computer'
]
var deviceSilentReminderDimensions = [
  'Computer'
]
var outageReportDimensions = [
  'Cause'
  'Computer'
  'Duration'
  'End'
  'Id'
  'Start'
]

// Paths into the common alert schema, which Azure evaluates when it writes the mail:
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-customize-email-subject-how-to
var firstDimension = '\${data.alertContext.condition.allOf[0].dimensions[0].value}'
var outageCause = firstDimension
var outageDevice = '\${data.alertContext.condition.allOf[0].dimensions[1].value}'
var outageDuration = '\${data.alertContext.condition.allOf[0].dimensions[2].value}'
var outageStart = '\${data.alertContext.condition.allOf[0].dimensions[5].value}'
var monitorCondition = '\${data.essentials.monitorCondition}'

resource deviceSilent 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-device-silent${suffix}'
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
    description: 'A device has sent no heartbeat for ${times.silenceMinutes} minutes or longer: its internet connection, its power or the agent is down, or the cloud side does not receive heartbeats. A Resolved mail follows when heartbeats arrive again.'
    severity: 1
    enabled: true
    scopes: [
      isEveryMinute ? workspaceId : componentId
    ]
    evaluationFrequency: 'PT${times.evaluationMinutes}M'
    windowSize: 'PT${times.evaluationMinutes}M'
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: deviceSilentQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'silentMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: json(times.silenceMinutes)
          dimensions: [
            for name in deviceSilentDimensions: {
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
    // One mail when a device falls silent and one when its heartbeats are back. Must not be combined with muteActionsDuration.
    autoMitigate: true
    // A component that was created seconds ago may not have the table yet.
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: ${monitorCondition}: silence of ${firstDimension}'
      }
    }
  }
}

resource deviceSilentReminder 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-device-silent-reminder${suffix}'
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
    description: 'Lists every device that is still silent. Sent when the silence of one of them reaches a mark, and once a day after 24 hours of silence.'
    severity: 2
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: 'PT${slowMinutes}M'
    windowSize: 'PT${slowMinutes}M'
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: deviceSilentReminderQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'longestMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: json(times.silenceMinutes)
          dimensions: [
            for name in deviceSilentReminderDimensions: {
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
    // Each evaluation that returns a row sends a mail, and none of these alerts ever resolves.
    autoMitigate: false
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: still silent: ${firstDimension}'
      }
    }
  }
}

resource outageReport 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: '${prefix}-outage-report${suffix}'
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
    description: 'An outage of ${times.reportMinutes} minutes or longer is over, and the device has handed over its records: the cause, the responsible party, start and end, and for how long the internet was down in between. The times are UTC. Sent once.'
    severity: 3
    enabled: true
    scopes: [
      componentId
    ]
    evaluationFrequency: 'PT${slowMinutes}M'
    windowSize: 'PT${slowMinutes}M'
    overrideQueryTimeRange: 'P2D'
    criteria: {
      allOf: [
        {
          query: outageReportQuery
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'downtimeMinutes'
          operator: 'GreaterThanOrEqual'
          threshold: times.reportMinutes
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
    // The query returns an outage for six hours, so that a late row is not missed. A stateful rule still mails it
    // only once; a stateless one would mail it at each evaluation.
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: outage of ${outageDevice}: ${outageDuration}, ${outageCause}, from ${outageStart}'
      }
    }
  }
}

// An outage report "resolves" when the query stops returning it. That must not be mailed.
resource outageReportResolved 'Microsoft.AlertsManagement/actionRules@2021-08-08' = {
  name: '${prefix}-outage-report-resolved${suffix}'
  location: 'Global'
  properties: {
    description: 'Suppresses the mails of the rule ${outageReport.name} when its alerts resolve.'
    enabled: true
    // Covers either target that Azure may give the alert, the component or its workspace. With the rule itself as the
    // scope, this would apply to alerts about the rule.
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
