// A thousand devices, more than one rule can hold: thousand.snapshot.json shows how they are split. Evaluation
// every 15 minutes, the cheapest. It reads no environment.
using './main.bicep'

param location = 'westeurope'
param prefix = 'ispmon'
param devices = map(range(1, 1000), number => 'site-${padLeft(number, 4, '0')}')
param mailAddresses = [
  'owner@example.org'
]
param evaluationMinutes = '15'
param dailyCapGb = 5
