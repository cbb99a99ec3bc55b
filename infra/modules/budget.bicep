metadata description = 'A mail when the resource group costs more than expected. A budget stops nothing.'

import { mailAddress } from 'types.bicep'

@description('Beginning of all names.')
param prefix string

@description('Amount a month, in the currency of the subscription.')
param amount int

@description('First day of the month from which the budget counts, as 2026-12-01. Azure does not let it be changed later.')
@minLength(10)
@maxLength(10)
param startDate string

@description('Addresses that are mailed. A budget mails on its own, so they need no passcode.')
param mailAddresses mailAddress[]

resource budget 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: '${prefix}-budget'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      actual: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: mailAddresses
      }
      forecast: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: mailAddresses
      }
    }
  }
}
