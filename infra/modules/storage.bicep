metadata description = 'Storage of the function app: its deployed package and its host keys. Account keys are disabled; access is by role only.'

@description('Azure region of the account.')
param location string

@description('Name of the account, unique in all of Azure.')
@minLength(3)
@maxLength(24)
param accountName string

@description('Name of the container of the deployed package.')
param containerName string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: accountName
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // The function app has no virtual network, so it reaches the account by its public address.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      // Allows the recovery of host keys that were deleted by mistake.
      deleteRetentionPolicy: {
        enabled: true
        days: 7
      }
    }

    resource packages 'containers' = {
      name: containerName
      properties: {
        publicAccess: 'None'
      }
    }
  }
}

@description('Blob endpoint, without a trailing slash.')
output blobEndpoint string = 'https://${account.name}.blob.${environment().suffixes.storage}'
