metadata description = 'Where the heartbeats are kept: a Log Analytics workspace and an Application Insights component in it.'

@description('Azure region of both resources.')
param location string

@description('Name of the workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param componentName string

@description('Gigabytes a day after which the workspace takes nothing in until the next day; -1 for no limit.')
@minValue(-1)
param dailyCapGb int

@description('Resource id of the action group.')
param actionGroupId string

// 90 days: tables of Application Insights are kept that long at no charge.
var retentionDays = 90

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: workspaceName
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      disableLocalAuth: true
      // Lets whoever may read the component read its rows, without rights on the whole workspace.
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    RetentionInDays: retentionDays
    // A heartbeat that is sampled away is a false alarm.
    SamplingPercentage: 100
    // Rows are accepted from identities with a role only, not from whoever knows the connection string.
    DisableLocalAuth: true
  }
}

// Azure adds this rule to every new component, by this name. It would mail about failed requests, which are
// no outage; declared here, it stays off and goes with the rest.
resource failureAnomalies 'Microsoft.AlertsManagement/smartDetectorAlertRules@2021-04-01' = {
  name: 'Failure Anomalies - ${componentName}'
  location: 'global'
  properties: {
    description: 'Off: heartbeats that stop are the business of the other rules.'
    state: 'Disabled'
    severity: 'Sev3'
    frequency: 'PT1M'
    detector: {
      id: 'FailureAnomaliesDetector'
    }
    scope: [
      component.id
    ]
    actionGroups: {
      groupIds: [
        actionGroupId
      ]
    }
  }
}

@description('Resource id of the Application Insights component, which the rules query.')
output componentId string = component.id

@description('Resource id of the workspace.')
output workspaceResourceId string = workspace.id

@description('Id by which the workspace is queried.')
output workspaceCustomerId string = workspace.properties.customerId
