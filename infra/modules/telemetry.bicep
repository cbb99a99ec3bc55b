metadata description = 'Where the heartbeats are kept: a Log Analytics workspace and an Application Insights component in it.'

@description('Azure region of both resources.')
param location string

@description('Name of the workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param componentName string

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
    features: {
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

@description('Resource id of the Application Insights component, which the rules query.')
output componentId string = component.id
