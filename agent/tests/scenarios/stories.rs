//! Each scenario is a test of its own name: `isp-goes-dark.toml` is `stories::isp_goes_dark`.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::story;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs the scenario of a test, in whose name `_` stands for `-`.
fn play(test: &str) {
    let file = format!("{}.toml", test.replace('_', "-"));
    let story = fs::read_to_string(folder().join(&file))
        .unwrap_or_else(|error| panic!("{file} cannot be read: {error}"));
    if let Err(problem) = story::check(&story) {
        panic!("{file} does not match its expectations: {problem}");
    }
}

macro_rules! stories {
    ($($name:ident)*) => {
        const LISTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*
    };
}

#[test]
fn every_file_is_listed() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of scenarios is readable")
        .map(|entry| entry.expect("its entries are readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            path.file_stem().expect("the file has a name").to_string_lossy().replace('-', "_")
        })
        .collect();
    let listed: BTreeSet<String> = LISTED.iter().map(|&name| name.to_owned()).collect();
    let unlisted: Vec<_> = files.difference(&listed).collect();
    let missing: Vec<_> = listed.difference(&files).collect();
    assert!(
        unlisted.is_empty() && missing.is_empty(),
        "add to the list in stories.rs: {unlisted:?}; remove from it, because they have no file: {missing:?}"
    );
}

stories! {
    anchor_with_a_path_of_its_own
    anchors_blocked
    anchors_blocked_for_a_while
    anchors_blocked_for_two_families_and_the_line_dies
    anchors_blocked_later
    anchors_blocked_then_line_dead
    anchors_never_prove_themselves_here
    anchors_set_without_tls
    blip
    both_families_die_at_once
    bursts_of_loss_between_fast_probes
    cable_pulled
    carrier_lost_for_two_seconds_thirty_times
    clock_unknown_at_start
    clock_wrong
    cold_host
    crash_after_the_cause_has_changed
    crash_in_a_flapping_line
    crash_in_an_endpoint_incident
    crash_in_an_outage
    crash_while_blind_in_an_outage
    credentials
    dns_dead
    dns_lies
    dns_of_somebody_else
    endpoint_500
    endpoint_bad_tls
    endpoint_hangs
    endpoint_refuses
    first_isp_then_gateway
    flapping
    flapping_every_three_seconds
    gateway_dead
    gateway_given_up_by_the_kernel
    gateway_never_answers
    gateway_of_another_network
    gateway_stops_answering
    hardware_address_of_the_router_becomes_known
    heartbeats_configured_away
    heartbeats_nearby_by_a_global_address
    heartbeats_to_the_own_network_hide_nothing
    hotel_whose_router_has_the_address_of_the_one_at_home
    impossible_clock_and_a_validating_resolver
    ipv4_dead_after_the_carrier_returns
    ipv4_dead_when_the_agent_starts
    ipv4_dead_when_the_link_comes_up
    ipv4_only_broken
    ipv4_stays_dead_beside_ipv6_and_a_proxy
    ipv6_alone_is_prohibited_from_the_start
    ipv6_anchors_removed_in_its_outage
    ipv6_anchors_removed_while_nothing_can_be_asked
    ipv6_forbidden_over_a_pause_with_heartbeats_through_a_proxy
    ipv6_loses_its_route
    ipv6_never_worked
    ipv6_only_broken
    ipv6_out_then_woken_without_ipv6
    ipv6_proves_itself_a_minute_after_the_line_returns
    ipv6_unstable_then_line_dead
    isp_goes_dark
    isp_rejects
    line_dies_again_after_a_heartbeat_brought_it_back
    line_fails_in_an_endpoint_incident
    link_comes_up_again_and_again
    links_cannot_be_looked_at
    login_page_answers_plain_heartbeats
    lossy
    lossy_line_is_no_dns_outage
    moving_to_a_network_without_ipv6
    name_server_starts_after_the_agent
    name_servers_die_in_local_mode
    names_return_while_one_family_is_down
    no_address
    no_descriptors_in_an_outage
    no_free_port
    one_anchor_dead_for_two_minutes
    one_family_after_the_other
    one_family_returns_while_names_fail
    one_lost_packet
    one_of_two_name_servers_dies
    only_a_proxy_is_allowed_and_the_endpoint_says_503
    only_small_packets_pass
    own_firewall_forbids
    own_name_server_dies
    policy_rule_prohibits_for_eight_seconds
    portal_accepts_everything
    portal_swallows_anchors
    power_cut_in_an_outage
    proxy_accepts_everything_and_the_line_is_dead
    proxy_accepts_everything_in_local_mode
    proxy_heartbeats_do_not_hide_ipv4
    quiet
    roaming
    roots_are_gone
    router_dies_beneath_a_tunnel
    router_owns_an_anchors_address
    router_reboots
    router_resets_in_the_name_of_the_internet
    router_withdraws_ipv6_when_its_line_loses_it
    routers_own_page_while_the_provider_is_down
    second_router_takes_over_the_address_of_the_first
    sleep
    sleep_in_an_outage_that_ends
    sleep_in_an_outage_that_goes_on
    sleep_while_blind
    slow
    slow_without_a_record
    start_into_an_outage
    start_with_a_dead_router
    start_without_network
    start_without_network_for_long
    stop_in_an_unstable_line
    stopped_in_an_ipv4_outage_and_started_without_ipv6
    stub_resolver_breaks
    tunnel_and_line_dead
    tunnel_broker_dies
    tunnel_dead
    two_seconds_slow
    unstable_then_one_family_stays_dead
    without_heartbeats
}
