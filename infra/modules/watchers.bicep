metadata description = 'Who watches the watcher: mails when a rule is switched off, deleted or fails, and when the workspace takes nothing in any more.'

@description('Azure region of the rule about the daily cap.')
param location string

@description('Beginning of all names.')
param prefix string

@description('Resource id of the workspace.')
param workspaceId string

@description('Resource id of the identity under which the rule about the daily cap runs. It must have Reader on the workspace already.')
param identityId string

@description('Resource id of the action group.')
param actionGroupId string

@description('Whether the workspace has a daily cap.')
param hasDailyCap bool

var changes = [
  {
    name: 'rule-disabled'
    operation: 'Microsoft.Insights/ScheduledQueryRules/disable/action'
    description: 'Somebody has disabled an alert rule, or Azure has because its query failed for a week: what it watches is not watched any more. Enable it in the portal, or deploy again.'
  }
  {
    name: 'rule-deleted'
    operation: 'Microsoft.Insights/ScheduledQueryRules/delete'
    description: 'Somebody has deleted an alert rule: what it watched is not watched any more. Deploy again, unless this was the intention.'
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
          // Each operation is logged when it starts, too.
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
    description: 'An alert rule cannot be evaluated, for instance because its query fails or its identity has lost its role: what it watches is not watched any more. Its resource health in the portal says why.'
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
        // Health is Unknown before the first evaluation, which is no change for the worse.
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

// From the documentation of the cap: https://learn.microsoft.com/azure/azure-monitor/logs/daily-cap
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
    description: 'The workspace has taken in as much as it may in a day, and takes in nothing more until the next. Heartbeats are lost, so mails about silence may be wrong. Find out what wrote so much, or raise DAILY_CAP_GB and deploy again.'
    severity: 1
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    // The row may come late. Found several times, it is still one alert.
    overrideQueryTimeRange: 'PT1H'
    criteria: {
      allOf: [
        {
          query: trim(loadTextContent('../queries/watchers/daily-cap.kql'))
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
