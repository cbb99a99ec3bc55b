metadata description = 'Alerts that monitor the alert rules: mails when a rule is disabled, deleted or fails, and when the workspace accepts no more data.'

@description('Azure region of the rule about the daily cap.')
param location string

@description('Prefix of all names.')
param prefix string

@description('Resource id of the workspace.')
param workspaceId string

@description('Resource id of the identity under which the rule about the daily cap runs. It must have the role Reader on the workspace already.')
param identityId string

@description('Resource id of the action group.')
param actionGroupId string

@description('Whether the workspace has a daily cap.')
param hasDailyCap bool

var changes = [
  {
    name: 'rule-disabled'
    operation: 'Microsoft.Insights/ScheduledQueryRules/disable/action'
    description: 'An alert rule was disabled, by a user, or by Azure because its query failed for a week, so it no longer monitors anything. Enable it in the portal, or deploy again.'
  }
  {
    name: 'rule-deleted'
    operation: 'Microsoft.Insights/ScheduledQueryRules/delete'
    description: 'An alert rule was deleted: what it monitored is no longer monitored. Deploy again, unless this was intended.'
  }
]

resource ruleChanged 'Microsoft.Insights/activityLogAlerts@2026-01-01' = [
  for change in changes: {
    name: '${prefix}-${change.name}'
    location: 'global'
    properties: {
      description: change.description
      enabled: true
      scopes: [
        resourceGroup().id
      ]
      condition: {
        allOf: [
          {
            field: 'category'
            equals: 'Administrative'
          }
          {
            field: 'operationName'
            equals: change.operation
          }
          // Azure also logs the start of each operation.
          {
            field: 'status'
            equals: 'Succeeded'
          }
        ]
      }
      actions: {
        actionGroups: [
          {
            actionGroupId: actionGroupId
          }
        ]
      }
    }
  }
]

resource ruleUnhealthy 'Microsoft.Insights/activityLogAlerts@2026-01-01' = {
  name: '${prefix}-rule-unhealthy'
  location: 'global'
  properties: {
    description: 'An alert rule cannot be evaluated, for instance because its query fails or its identity has lost its role, so it no longer monitors anything. Its resource health in the portal shows the reason.'
    enabled: true
    scopes: [
      resourceGroup().id
    ]
    condition: {
      allOf: [
        {
          field: 'category'
          equals: 'ResourceHealth'
        }
        {
          field: 'resourceType'
          equals: 'Microsoft.Insights/scheduledQueryRules'
        }
        {
          anyOf: [
            {
              field: 'properties.currentHealthStatus'
              equals: 'Degraded'
            }
            {
              field: 'properties.currentHealthStatus'
              equals: 'Unavailable'
            }
          ]
        }
        // Health is Unknown before the first evaluation; a change from there is no deterioration.
        {
          anyOf: [
            {
              field: 'properties.previousHealthStatus'
              equals: 'Available'
            }
            {
              field: 'properties.previousHealthStatus'
              equals: 'Degraded'
            }
            {
              field: 'properties.previousHealthStatus'
              equals: 'Unavailable'
            }
          ]
        }
      ]
    }
    actions: {
      actionGroups: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
}

// Query from the documentation of the cap: https://learn.microsoft.com/azure/azure-monitor/logs/daily-cap
resource dailyCap 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (hasDailyCap) {
  name: '${prefix}-daily-cap'
  location: location
  kind: 'LogAlert'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    displayName: '${prefix}: daily cap reached'
    description: 'The workspace has reached its daily cap and accepts no more data until the next day. Heartbeats are lost, so mails about silence may be wrong. Find out what wrote so much data, or raise DAILY_CAP_GB and deploy again.'
    severity: 1
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    // The row may arrive late. An hour finds it several times, which is still one alert.
    overrideQueryTimeRange: 'PT1H'
    criteria: {
      allOf: [
        {
          query: trim(loadTextContent('../queries/self-monitoring/daily-cap.kql'))
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'notices'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        actionGroupId
      ]
      actionProperties: {
        'Email.Subject': '${prefix}: daily cap reached, heartbeats are lost'
      }
    }
  }
}
