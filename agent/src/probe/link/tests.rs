use super::*;

fn routed(index: u32, gateway: &str) -> LinkAnswer {
    LinkAnswer::Routed(Route {
        interface: format!("eth{index}"),
        index,
        source: None,
        gateway: gateway.parse().ok(),
        gateway_mac: None,
        tunnel: false,
    })
}

/// The link of the family, and for each anchor whether it has a path of its own.
fn judged(links: &[LinkAnswer]) -> (LinkAnswer, Vec<bool>) {
    let anchors: Vec<Anchor> =
        (1..=links.len()).map(|n| format!("192.0.2.{n}").parse().expect("an anchor")).collect();
    let paths = links.iter().cloned().map(Path::from).collect();
    let family = FamilyPaths::judge(&anchors, paths).expect("there are anchors");
    (family.link, family.anchors.iter().map(|anchor| anchor.own_path).collect())
}

#[test]
fn a_family_takes_the_path_of_most_of_its_anchors() {
    let (home, lab) = (routed(1, "192.168.1.1"), routed(2, "192.168.2.1"));
    let another_router = routed(1, "192.168.1.2");
    for (links, expected, own) in [
        (vec![home.clone(); 3], home.clone(), vec![false; 3]),
        (vec![lab.clone(), home.clone(), home.clone()], home.clone(), vec![true, false, false]),
        (vec![home.clone(), another_router, home.clone()], home.clone(), vec![false, true, false]),
        // A cable is out; one anchor still has a route of its own.
        (
            vec![lab.clone(), LinkAnswer::NoRoute, LinkAnswer::NoRoute],
            LinkAnswer::NoRoute,
            vec![true, false, false],
        ),
        // In a tie, the route wins.
        (vec![LinkAnswer::NoRoute, home.clone()], home.clone(), vec![true, false]),
        (vec![LinkAnswer::Prohibited; 2], LinkAnswer::Prohibited, vec![false; 2]),
        // A failed read decides nothing.
        (vec![LinkAnswer::Unknown, LinkAnswer::Unknown, home.clone()], home, vec![false; 3]),
        (vec![LinkAnswer::Unknown; 3], LinkAnswer::Unknown, vec![false; 3]),
    ] {
        assert_eq!(judged(&links), (expected, own), "{links:?}");
    }
    assert_eq!(FamilyPaths::read(&PerFamily::default()), PerFamily::default());
}

#[test]
fn the_fallback_is_used_only_after_a_refusal() {
    for (errno, expected) in [
        (Errno::AFNOSUPPORT, true),
        (Errno::PERM, true),
        (Errno::ACCESS, true),
        (Errno::MFILE, false),
        (Errno::NOBUFS, false),
        (Errno::AGAIN, false),
    ] {
        assert_eq!(is_refused(&errno.into()), expected, "{errno:?}");
    }
}

#[test]
fn the_far_end_of_a_tunnel_is_no_router() {
    let far_end = IpAddr::from([10, 8, 0, 1]);
    let route = |tunnel| Route {
        interface: "tun0".to_owned(),
        index: u32::MAX,
        source: None,
        gateway: Some(far_end),
        gateway_mac: None,
        tunnel,
    };
    assert!(is_router(far_end, &[&route(false)]));
    assert!(!is_router(far_end, &[&route(true)]));
}

#[test]
fn a_default_route_leads_to_no_neighbours() {
    for (what, bits, resolves, is_kernels, expected) in [
        ("default dev eth0", 0, true, false, false),
        ("0.0.0.0/1 dev eth0", 1, true, false, false),
        ("192.168.0.0/16 dev eth0, set by hand", 16, true, false, true),
        ("192.168.1.0/24 dev eth0, by its address", 24, true, true, true),
        ("default dev ppp0", 0, false, false, false),
        ("198.51.100.0/24 dev ppp0, set by hand", 24, false, false, false),
        ("the other end of ppp0", 32, false, true, true),
    ] {
        assert_eq!(is_near(bits, resolves, is_kernels), expected, "{what}");
    }
}
