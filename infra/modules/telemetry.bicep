metadata description = 'Storage of the heartbeats: a Log Analytics workspace and an Application Insights component in it.'

@description('Azure region of both resources.')
param location string

@description('Name of the workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param componentName string

@description('Gigabytes a day after which the workspace accepts no more data until the next day; -1 for no limit.')
@minValue(-1)
param dailyCapGb int

@description('Resource id of the action group.')
param actionGroupId string

// 90 days, for which tables of Application Insights are kept at no charge.
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
      // Users with read access to the component can read its rows, without rights on the whole workspace.
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
    // Sampling would drop heartbeats, which causes false alarms.
    SamplingPercentage: 100
    // Accept rows only from identities with a role; the connection string alone is not enough.
    DisableLocalAuth: true
  }
}

// Azure adds a rule of this name to every new component. It would send mails about failed requests,
// which are no outage. Declared here, it is disabled.
resource failureAnomalies 'Microsoft.AlertsManagement/smartDetectorAlertRules@2021-04-01' = {
  name: 'Failure Anomalies - ${componentName}'
  location: 'global'
  properties: {
    description: 'Disabled: other rules detect missing heartbeats.'
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

@description('Id of the workspace in the query API.')
output workspaceCustomerId string = workspace.properties.customerId
