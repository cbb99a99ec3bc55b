// Values other than the defaults of main.bicepparam: several devices whose names need escaping, several
// receivers, evaluation every minute. It reads no environment, so many.snapshot.json depends on this file only.
using './main.bicep'

param location = 'northeurope'
param prefix = 'Net-Watch-16-xyz'
param devices = [
  'it\'s the "attic"'
  'back\\slash\\\''
  '007'
  'Büro 東京 🏠 1.50'
  '\'] | take 0 //'
]
param mailAddresses = [
  'owner@example.org'
  'night.shift+ispmon@mail.example.net'
]
param mailOwners = false
param webhookUrls = 'https://hooks.example.org/ispmon'
param silenceMinutes = '6.5'
param evaluationMinutes = '1'
param reminderMarks = [
  15
  60
]
param dailyReminderHour = 20
param reportMinutes = 12
param runtimeName = 'node'
param runtimeVersion = '22'
param maxInstances = 40
param dailyCapGb = -1
param budgetAmount = 10
param budgetStart = '2026-12-01'
