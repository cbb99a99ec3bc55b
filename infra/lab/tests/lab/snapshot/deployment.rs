//! The evaluated deployments, and their parameters.

use serde_json::Value;

pub(crate) const RULE: &str = "Microsoft.Insights/scheduledQueryRules";
pub(crate) const COMPONENT: &str = "Microsoft.Insights/components";
pub(crate) const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
pub(crate) const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
pub(crate) const ROLE: &str = "Microsoft.Authorization/roleAssignments";
pub(crate) const SITE: &str = "Microsoft.Web/sites";
pub(crate) const STORAGE: &str = "Microsoft.Storage/storageAccounts";
pub(crate) const ACTION_GROUP: &str = "Microsoft.Insights/actionGroups";

/// The resource group of all deployments.
pub(crate) const RESOURCE_GROUP: &str =
    "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/ispmon";

/// The kinds of device rules: the middle of their names, the dimensions of their alerts in the rule's
/// order, and their measure.
pub(crate) const KINDS: [Kind; 3] = [
    Kind { name: "device-silent", dimensions: &["Computer"], measured: "silentMinutes" },
    Kind { name: "device-silent-reminder", dimensions: &["Computer"], measured: "longestMinutes" },
    Kind {
        name: "outage-report",
        dimensions: &["Cause", "Computer", "Duration", "End", "Id", "Start"],
        measured: "downtimeMinutes",
    },
];

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) dimensions: &'static [&'static str],
    pub(crate) measured: &'static str,
}

/// One evaluated deployment.
pub(crate) struct Deployment {
    pub(crate) name: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) location: &'static str,
    /// The devices, in their order.
    pub(crate) devices: Vec<String>,
    pub(crate) resources: Vec<Value>,
    pub(crate) outputs: Value,
}

/// One device rule.
pub(crate) struct Rule {
    /// The deployment and the rule, for messages of failing tests.
    pub(crate) name: String,
    pub(crate) kind: &'static Kind,
    /// The index of its set of devices, from 0.
    pub(crate) set: usize,
    pub(crate) resource: Value,
}

impl Rule {
    pub(crate) fn properties(&self) -> &Value {
        &self.resource["properties"]
    }

    pub(crate) fn condition(&self) -> &Value {
        let conditions = self.properties()["criteria"]["allOf"].as_array().unwrap();
        assert_eq!(conditions.len(), 1, "{}", self.name);
        &conditions[0]
    }

    pub(crate) fn query(&self) -> &str {
        self.condition()["query"].as_str().unwrap()
    }

    pub(crate) fn is_every_minute(&self) -> bool {
        self.properties()["evaluationFrequency"] == "PT1M"
    }
}

/// Two devices, all defaults.
pub(crate) fn main() -> Deployment {
    let devices = ["dl-home", "office"].map(str::to_owned).to_vec();
    let text = include_str!("../../../../main.snapshot.json");
    read("main", "ispmon", "westeurope", devices, text)
}

/// Awkward device names, no defaults.
pub(crate) fn many() -> Deployment {
    let devices =
        ["it's the \"attic\"", r"back\slash\'", "007", "Büro 東京 🏠 1.50", "'] | take 0 //"];
    let devices = devices.map(str::to_owned).to_vec();
    let text = include_str!("../../../../many.snapshot.json");
    read("many", "Net-Watch-16-xyz", "northeurope", devices, text)
}

/// More devices than one rule can hold.
pub(crate) fn thousand() -> Deployment {
    let devices = (1..=1_000).map(|number| format!("site-{number:04}")).collect();
    let text = include_str!("../../../../thousand.snapshot.json");
    read("thousand", "ispmon", "westeurope", devices, text)
}

pub(crate) fn all() -> [Deployment; 3] {
    [main(), many(), thousand()]
}

pub(crate) fn read(
    name: &'static str,
    prefix: &'static str,
    location: &'static str,
    devices: Vec<String>,
    text: &str,
) -> Deployment {
    let mut snapshot: Value = serde_json::from_str(text).unwrap();
    let resources = snapshot["predictedResources"].take();
    let resources = serde_json::from_value(resources).unwrap();
    let outputs = snapshot["outputs"].take();
    Deployment { name, prefix, location, devices, resources, outputs }
}

impl Deployment {
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        let is = |resource: &&Value| resource["type"].as_str().unwrap().eq_ignore_ascii_case(kind);
        self.resources.iter().filter(is).collect()
    }

    /// The only resource of a type.
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let resources = self.of_type(kind);
        let [resource] = resources[..] else {
            panic!("{}: one {kind}, not {}", self.name, resources.len())
        };
        resource
    }

    pub(crate) fn named(&self, kind: &str, name: &str) -> &Value {
        let resources = self.of_type(kind);
        let resource = resources.into_iter().find(|resource| resource["name"] == name);
        resource.unwrap_or_else(|| panic!("{}: {kind} {name}", self.name))
    }

    pub(crate) fn id(&self, kind: &str) -> &str {
        self.only(kind)["id"].as_str().unwrap()
    }

    /// All device rules.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let rules = self.of_type(RULE).into_iter().filter_map(|resource| {
            let name = resource["name"].as_str().unwrap();
            let middle = name.strip_prefix(self.prefix)?.strip_prefix('-')?;
            let (kind, set) =
                KINDS.iter().find_map(|kind| match middle.strip_prefix(kind.name)? {
                    "" => Some((kind, 0)),
                    rest => Some((kind, rest.strip_prefix('-')?.parse::<usize>().ok()? - 1)),
                })?;
            let name = format!("{}: {name}", self.name);
            Some(Rule { name, kind, set, resource: resource.clone() })
        });
        rules.collect()
    }

    /// The sets of devices, as the templates split them if no name is long.
    pub(crate) fn sets(&self) -> Vec<&[String]> {
        self.devices.chunks(200).collect()
    }
}
