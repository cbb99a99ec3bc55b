metadata description = 'The function that receives heartbeats: a Flex Consumption plan and an app with a custom handler in it.'

import { deviceName } from 'types.bicep'
import { byteCount } from 'text.bicep'

@description('Azure region of the plan and the app.')
param location string

@description('Name of the plan.')
param planName string

@description('Name of the app, unique in all of Azure.')
@maxLength(32)
param appName string

@description('Resource id of the identity of the app, to which its roles must be assigned already.')
param identityId string

@description('Client id of the identity of the app.')
param clientId string

@description('Blob endpoint of its storage account.')
param blobEndpoint string

@description('Container of the deployed package.')
param containerName string

@description('Application Insights component that the app writes to.')
param componentName string

@description('Name of the runtime.')
param runtimeName string

@description('Version of the runtime.')
param runtimeVersion string

@description('Instances that may run at the same time.')
param maxInstances int

@description('Devices that the alert rules monitor.')
param devices deviceName[]

@description('URL of a package to deploy, or empty.')
param packageUri string

// The maximum length of an app setting on Flex Consumption is not documented; Linux itself accepts 128 KiB, and so
// does a template expression. Without the setting, the function does not report devices that no alert rule
// monitors. Nothing else changes.
var expectedDevicesLimit = 8192
var expectedDevicesLength = reduce(map(devices, device => byteCount(device) + 1), 0, (sum, bytes) => sum + bytes)
var expectedDevicesSettings = expectedDevicesLength > expectedDevicesLimit
  ? []
  : [
      {
        name: 'EXPECTED_DEVICES'
        value: join(devices, ',')
      }
    ]

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  kind: 'functionapp,linux'
  // `azd` finds the app of a service by this tag.
  tags: {
    'azd-service-name': 'function'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}/${containerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: any(runtimeName)
        version: runtimeVersion
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maxInstances
        instanceMemoryMB: 512
        triggers: {
          http: {
            // A heartbeat takes less than a millisecond: one instance serves thousands of devices.
            perInstanceConcurrency: 100
          }
        }
      }
    }
    siteConfig: {
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      appSettings: concat(
        [
          {
            name: 'AzureWebJobsStorage__blobServiceUri'
            value: blobEndpoint
          }
          {
            name: 'AzureWebJobsStorage__clientId'
            value: clientId
          }
          {
            name: 'AzureWebJobsStorage__credential'
            value: 'managedidentity'
          }
          {
            name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
            value: 'Authorization=AAD;ClientId=${clientId}'
          }
          {
            name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
            value: component.properties.ConnectionString
          }
        ],
        expectedDevicesSettings
      )
    }
  }

  resource ftpPublishing 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }

  resource scmPublishing 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }
}

resource package 'Microsoft.Web/sites/extensions@2025-03-01' = if (!empty(packageUri)) {
  parent: app
  name: 'onedeploy'
  #disable-next-line BCP187 // Missing in the published type.
  properties: {
    packageUri: packageUri
    remoteBuild: false
  }
}

@description('URL that receives heartbeats.')
output functionUrl string = 'https://${app.properties.defaultHostName}/api/ping'
