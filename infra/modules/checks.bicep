metadata description = 'Checks of parameters beyond what their types can express. A …Problem function returns a sentence that names the variable of .env to change, or an empty string; a checked… function returns its argument, or fails with that sentence. main.bicepparam uses the problems, because fail() is not available where parameters are built.'

@description('The characters of a text, one by one.')
func characters(text string) string[] => map(range(0, length(text)), index => substring(text, index, 1))

@description('Whether a text contains at least one of these parts.')
func containsAny(text string, parts string[]) bool => !empty(filter(parts, part => contains(text, part)))

@description('Whether a text is a valid prefix of all names.')
@export()
func isPrefix(text string) bool =>
  !empty(text) && !endsWith(text, '-') && !contains(text, '--') && contains(
    'abcdefghijklmnopqrstuvwxyz',
    toLower(take(text, 1))
  ) && empty(filter(
    characters(toLower(text)),
    character => !contains('abcdefghijklmnopqrstuvwxyz0123456789-', character)
  ))

@description('Whether a text has the form of a mail address.')
@export()
func isMailAddress(text string) bool =>
  length(split(text, '@')) == 2 && !empty(split(text, '@')[0]) && contains(last(split(text, '@')), '.') && !startsWith(
    last(split(text, '@')),
    '.'
  ) && !endsWith(text, '.') && !contains(text, '..') && !containsAny(text, [
    ' '
    '\t'
    '\n'
    '\r'
    ','
    ';'
    ':'
    '<'
    '>'
    '('
    ')'
    '['
    ']'
    '"'
    '\\'
  ])

@description('Whether a device name can be compared: not blank, without commas and line breaks, and without letters whose lower case differs between the agent, the function, this template and the queries.')
@export()
func isDeviceName(name string) bool =>
  !empty(trim(name)) && !containsAny(name, [
    ','
    '\n'
    '\r'
    '\u{0}'
    '\u{b}'
    '\u{c}'
    '\u{85}'
    '\u{2028}'
    '\u{2029}'
    '\u{130}' // İ
    '\u{131}' // ı
    '\u{1e9e}' // ẞ
    '\u{3a3}' // Σ
    '\u{3c2}' // ς
    '\u{3f4}' // ϴ
    '\u{212a}' // the Kelvin sign
    '\u{212b}' // the Ångström sign
    '\u{2126}' // the Ohm sign
    '\u{1c4}' // the digraphs DŽ, LJ, NJ, DZ, all in capitals or with one
    '\u{1c5}'
    '\u{1c7}'
    '\u{1c8}'
    '\u{1ca}'
    '\u{1cb}'
    '\u{1f1}'
    '\u{1f2}'
  ])

@export()
@description('Problem of a prefix. Valid are letters, digits and single hyphens, beginning with a letter, not ending with a hyphen.')
func prefixProblem(prefix string) string =>
  isPrefix(prefix)
    ? ''
    : 'PREFIX must contain only letters, digits and single hyphens, begin with a letter and not end with a hyphen: ${prefix}'

@export()
@description('The prefix, if it is valid.')
func checkedPrefix(prefix string) string => empty(prefixProblem(prefix)) ? prefix : fail(prefixProblem(prefix))

@export()
@description('Problem of device names: some cannot be compared.')
func devicesProblem(devices string[]) string =>
  empty(filter(devices, device => !isDeviceName(device)))
    ? ''
    : 'HEARTBEAT_DEVICE: device names must not be blank and must not contain a comma, a line break, one of the letters İ ı ẞ Σ ς ϴ, the Kelvin, Ångström or Ohm sign, or a digraph such as Dž, which programs convert to lower case differently: ${string(take(filter(devices, device => !isDeviceName(device)), 10))}'

@export()
@description('Device names that can be compared, each once. Devices are compared trimmed and in lower case everywhere, so the same name twice is one device.')
func checkedDevices(devices string[]) string[] =>
  !empty(devicesProblem(devices))
    ? fail(devicesProblem(devices))
    : length(union(map(devices, device => toLower(trim(device))), [])) == length(devices) ? devices : filter(devices, (device, index) => indexOf(map(devices, other => toLower(trim(other))), toLower(trim(device))) == index)

@export()
@description('Problem of mail addresses: malformed or duplicate ones.')
func addressesProblem(addresses string[]) string =>
  !empty(filter(addresses, address => !isMailAddress(address)))
    ? 'ALERT_EMAIL must contain mail addresses such as me@example.org, separated by commas: ${string(filter(addresses, address => !isMailAddress(address)))}'
    : length(union(map(addresses, address => toLower(address)), [])) == length(addresses) ? '' : 'ALERT_EMAIL must contain each address only once: ${string(addresses)}'

@export()
@description('The mail addresses, if all are well-formed and unique.')
func checkedAddresses(addresses string[]) string[] =>
  empty(addressesProblem(addresses)) ? addresses : fail(addressesProblem(addresses))

@description('Whether a text is an HTTPS URL.')
@export()
func isSecureUrl(url string) bool =>
  startsWith(toLower(url), 'https://') && length(url) > 8 && !containsAny(url, [' ', '\t', '\n', '\r'])

@export()
@description('Problem of the webhook URLs. A URL may contain a secret, so no message shows it.')
func urlsProblem(urls string) string =>
  empty(trim(urls))
    ? ''
    : !empty(filter(split(urls, ','), url => !isSecureUrl(trim(url))))
        ? 'ALERT_WEBHOOK must contain URLs that begin with https://, separated by commas.'
        : length(union(map(split(urls, ','), url => trim(url)), [])) == length(split(urls, ',')) ? '' : 'ALERT_WEBHOOK must contain each URL only once.'

@export()
@description('The webhook URLs, if they are valid and unique, without the spaces around them.')
func checkedUrls(urls string) string[] =>
  !empty(urlsProblem(urls)) ? fail(urlsProblem(urls)) : empty(trim(urls)) ? [] : map(split(urls, ','), url => trim(url))

@description('Data that devices write in a day, in MB: 3 per device, which is 2.4 as measured with the defaults, plus a reserve.')
func dailyMegabytes(devices int) int => devices * 3

@export()
@description('Problem of a daily cap: this number of devices would reach it.')
func dailyCapProblem(gigabytes int, devices int) string =>
  gigabytes == -1 || gigabytes * 1000 >= dailyMegabytes(devices)
    ? ''
    : 'DAILY_CAP_GB is ${gigabytes}, which ${devices} devices would reach every day, and heartbeats would be lost: set it to ${(dailyMegabytes(devices) + 999) / 1000} or more, or to -1 for no limit.'

@export()
@description('The daily cap, if this number of devices does not reach it; -1 is no cap.')
func checkedDailyCap(gigabytes int, devices int) int =>
  empty(dailyCapProblem(gigabytes, devices)) ? gigabytes : fail(dailyCapProblem(gigabytes, devices))

@export()
@description('Problem of the first day of a budget.')
func budgetStartProblem(start string, amount int) string =>
  amount == 0 || length(start) == 10 && substring(start, 4, 1) == '-' && endsWith(start, '-01')
    ? ''
    : 'BUDGET_AMOUNT needs BUDGET_START, the first day of a month such as 2026-12-01, not \'${start}\'.'

@export()
@description('The first day of a budget, if it is the first day of a month. Required with a budget.')
func checkedBudgetStart(start string, amount int) string =>
  empty(budgetStartProblem(start, amount)) ? start : fail(budgetStartProblem(start, amount))

@export()
@description('The URL of a package, if it is an HTTPS URL or empty.')
func checkedPackage(uri string) string =>
  empty(uri) || isSecureUrl(uri) ? uri : fail('packageUri must be a URL that begins with https://: ${uri}')
