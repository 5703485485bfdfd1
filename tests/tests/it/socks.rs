//! Through a SOCKS5 proxy that somebody else wrote, with a login, to both clusters.

use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::socks::SocksProxy;

use crate::fixture::{SOON, assert_mirrored, source, target};

/// `EXIT STATUS` in the manual: no flow could be started.
const START_FAILED: i32 = 3;
const TOPIC: &str = "behind-a-proxy";

fn through(proxy: &SocksProxy, password: &str) -> Properties {
    let flow = Properties::between(("socks", source()), ("target", target()), TOPIC);
    flow.with("kmirror.socks5.proxy", proxy.address())
        .with("kmirror.socks5.user", "mirror")
        .with("kmirror.socks5.password", password)
}

#[test]
fn a_mirror_goes_through_a_proxy_and_only_with_its_login() {
    let proxy = SocksProxy::start("mirror", "s0cks").unwrap();
    oracle::create_topic(&source().bootstrap(), TOPIC, 2, 1, &[]).unwrap();
    oracle::produce(&source().bootstrap(), TOPIC, &["--records", "2000", "--partitions", "2"]).unwrap();

    let process = kmirror::start_run(&through(&proxy, "wrong-s0cks"), &["--until-synced"]).unwrap();
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(START_FAILED), "{said}");
    assert!(said.contains(proxy.address()) && !said.contains("wrong-s0cks"), "{said}");
    for cluster in [source(), target()] {
        assert!(!proxy.has_led_to(&cluster.bootstrap()), "it let in somebody with a wrong password");
    }

    kmirror::run_until_synced(&through(&proxy, "s0cks"), SOON).unwrap();
    for cluster in [source(), target()] {
        assert!(proxy.has_led_to(&cluster.bootstrap()), "{} was reached without it", cluster.bootstrap());
    }
    assert_mirrored("socks", TOPIC);
}
