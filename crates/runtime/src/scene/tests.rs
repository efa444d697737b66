use super::*;

#[test]
fn names_are_read_back() {
    for scene in SceneName::ALL {
        assert_eq!(scene.name().parse(), Ok(scene));
    }
    let error = "moon".parse::<SceneName>().unwrap_err().to_string();
    assert!(error.contains("loopback, lan, metro or wan"), "{error}");
    assert_eq!(Scene::LAN.to_string(), "100µs one way, 10000 Mbit/s");
}

#[test]
fn bytes_arrive_after_the_delay_and_after_earlier_bytes() {
    let network = SceneNetwork::new(Scene { delay: Duration::from_millis(20), megabits: 400.0 });
    let path = network.path(Some(Role::Server0));
    // 50,000 bytes are 1 ms at 400 Mbit/s.
    assert_eq!(path.send(1_000_000, 50_000), 22_000_000);
    // Sent at the same time, but the link is busy.
    assert_eq!(path.send(1_000_000, 50_000), 23_000_000);
    // Another connection to the same machine shares the link; other machines have links of their own.
    assert_eq!(network.clone().path(Some(Role::Server0)).send(2_500_000, 50_000), 24_000_000);
    assert_eq!(network.path(Some(Role::Client)).send(1_000_000, 50_000), 22_000_000);
    assert_eq!(network.path(None).send(1_000_000, 50_000), 22_000_000);
    // A link that was idle does not send faster afterwards.
    assert_eq!(path.send(100_000_000, 0), 120_000_000);
}

#[test]
fn headers_are_read_back_and_tls_is_not_taken_for_one() {
    let path = SceneNetwork::new(Scene::LAN).path(None);
    let before = now();
    let header = path.segment(1250);
    let (count, arrival) = parse_segment(&header).unwrap();
    // 1,250 bytes are 1 us at 10 Gbit/s.
    assert!(count == 1250 && arrival >= before + 101_000 && arrival <= now() + 101_000);
    assert_eq!(parse_segment(&path.segment(0)), None);
    let mut tls = header;
    tls[..3].copy_from_slice(&[22, 3, 3]);
    assert_eq!(parse_segment(&tls), None);
}

#[test]
#[cfg(target_os = "linux")]
fn a_wait_ends_when_it_should() {
    sleep_until(0);
    let mut late: Vec<u64> = (0..200)
        .map(|_| {
            let until = now() + 100_000;
            sleep_until(until);
            now() - until
        })
        .collect();
    late.sort_unstable();
    println!("late by {} ns in the median, {} ns at the 90th percentile", late[100], late[180]);
    // Never early; how late, a machine under load may decide.
    assert!(late[0] < 10_000_000);
}
