metadata description = 'The alert rules of up to 200 devices: silence, reminders, outage reports.'

import { deviceName, timing } from 'types.bicep'
import { filled, kustoLiteral } from 'text.bicep'

@description('Azure region of the rules.')
param location string

@description('Beginning of all names.')
param prefix string

@description('End of all names, so that several sets of rules can stand side by side; empty for the first.')
param suffix string

@description('Resource id of the Application Insights component that the rules query.')
param componentId string

@description('Resource id of its workspace, which the one-minute form of a rule queries.')
param workspaceId string

@description('Resource id of the identity under which the rules run. It must have Reader on both already.')
param identityId string

@description('Resource id of the action group.')
param actionGroupId string

@description('Devices that must send heartbeats.')
@maxLength(200)
param devices deviceName[]

@description('When the rules speak.')
param times timing

// Azure refuses joins in rules that run every minute, and what a component calls `traces`. So only the rule about
// silence runs that often, with another query on the workspace; the others keep to five minutes.
var isEveryMinute = times.evaluationMinutes == '1'
var slowMinutes = isEveryMinute ? '5' : times.evaluationMinutes

var deviceLiterals = join(map(devices, device => kustoLiteral(device)), ', ')

var deviceSilentQuery = isEveryMinute
  ? filled(loadTextContent('../queries/device-silent-minute.kql'), [
      { placeholder: 'COMPONENT_ID', value: kustoLiteral(toLower(componentId)) }
      { placeholder: 'DEVICES', value: deviceLiterals }
    ])
  : filled(loadTextContent('../queries/device-silent.kql'), [
      { placeholder: 'DEVICES', value: deviceLiterals }
    ])

var deviceSilentReminderQuery = filled(loadTextContent('../queries/device-silent-reminder.kql'), [
  { placeholder: 'SILENCE_MINUTES', value: kustoLiteral(times.silenceMinutes) }
  { placeholder: 'FREQUENCY_MINUTES', value: kustoLiteral(slowMinutes) }
  { placeholder: 'DAILY_HOUR', value: kustoLiteral(string(times.dailyReminderHour)) }
  { placeholder: 'MARKS', value: join(map(times.reminderMarks, mark => string(mark)), ', ') }
  { placeholder: 'DEVICES', value: deviceLiterals }
])

var outageReportQuery = filled(loadTextContent('../queries/outage-report.kql'), [
  { placeholder: 'MINIMUM_MINUTES', value: kustoLiteral(string(times.reportMinutes)) }
  { placeholder: 'DEVICES', value: deviceLiterals }
])

// The columns that a rule's alerts are split by, and all that a mail shows of a result. In the order of the
// alphabet, so that a dimension has the same place whether Azure keeps this order or sorts.
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

// Paths into the common alert schema, which Azure fills in when it writes the mail:
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
    description: 'A device has sent no heartbeat for ${times.silenceMinutes} minutes or longer: its internet connection, its power or the agent is down, or the cloud side does not receive. A Resolved mail follows when its heartbeats are back.'
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
    // One mail when a device falls silent and one when it is back. Must not be combined with muteActionsDuration.
    autoMitigate: true
    // The table may still be unknown to a component that was created seconds ago.
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
    description: 'Names every device that is still silent. Sent when the silence of one of them reaches a mark, and after 24 hours of silence once a day.'
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
    // Each evaluation that yields a row mails, and none of these alerts ever resolves.
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
    description: 'An outage of ${times.reportMinutes} minutes or longer is over, and the device has handed over what it recorded: which part failed, whose it is, from when to when, and for how long the internet was down in that time. The times are UTC. Sent once.'
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
    // The query yields an outage for six hours, so that a late row is not missed. A stateful rule mails it once all
    // the same; a stateless one would mail it at each evaluation.
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

// An outage report "resolves" when the query stops yielding it. That is no news.
resource outageReportResolved 'Microsoft.AlertsManagement/actionRules@2021-08-08' = {
  name: '${prefix}-outage-report-resolved${suffix}'
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
