//! Does an event become ready when a device has done its work?

use std::time::Instant;

use preheat_ir::graph::{FunctionBuilder, Verified};
use preheat_runtime::backend::torch::{FakeDevice, WeightPlace};

use super::session::{f32s, filled, numbers, open, real};

/// Matrix products, one after the other, each of `side` by `side` numbers.
fn products(side: u64, count: usize) -> Verified {
    let mut b = FunctionBuilder::new("products");
    let mut x = b.input("x", f32s(&[side, side]));
    let weight = b.weight("weight", [side, side]);
    for _ in 0..count {
        x = b.linear(x, weight, None).unwrap();
    }
    let y = b.slice(x, 0, 0, 1).unwrap();
    b.output("y", y);
    b.finish().unwrap()
}

#[test]
fn every_device_tells_when_it_is_done() {
    let torch = open(vec![FakeDevice::default()]);
    let sides = 64;
    for device in torch.devices() {
        let graph = torch.load(device, &products(sides, 3)).unwrap();
        let (x, weight) = (
            filled(&torch, device, &[sides, sides], 1.0),
            filled(&torch, device, &[sides, sides], 1.0),
        );
        // An event is ready at once if the device was given no work before it.
        torch.record(device).unwrap().wait().unwrap();
        let outputs = graph.run(&[&x, &weight], WeightPlace::OnDevice).unwrap();
        let event = torch.record(device).unwrap();
        // The same event may be waited for several times, and from several threads.
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| event.wait().unwrap());
            }
        });
        event.wait().unwrap();
        assert_eq!(numbers(&outputs[0]), vec![64.0_f32.powi(3); 64], "{device}");
        // An event may be dropped without being waited for.
        drop(torch.record(device).unwrap());
    }
    let mut stranger = torch.devices()[0].clone();
    stranger.position = 99;
    assert!(torch.record(&stranger).is_err());
}

/// An event stays valid after its session was dropped.
#[test]
fn an_event_keeps_its_session() {
    let event = {
        let torch = open(Vec::new());
        torch.record(real(&torch).last().unwrap()).unwrap()
    };
    event.wait().unwrap();
}

/// On a device that works beside the host, an event is ready when all work that was queued before
/// it is done. It does not wait for work that was queued later.
#[test]
fn what_comes_after_an_event_is_not_waited_for() {
    let torch = open(Vec::new());
    for device in real(&torch).into_iter().skip(1) {
        let side = 4096;
        let graph = torch.load(device, &products(side, 40)).unwrap();
        let (x, weight) = (
            filled(&torch, device, &[side, side], 0.0),
            filled(&torch, device, &[side, side], 0.0),
        );
        let run = || graph.run(&[&x, &weight], WeightPlace::OnDevice).unwrap();
        drop(run());
        torch.synchronize(device).unwrap();

        let began = Instant::now();
        let before = torch.record(device).unwrap();
        let outputs = run();
        let queued = began.elapsed();
        before.wait().unwrap();
        let first = began.elapsed();
        // A small tensor goes to the device while the device works.
        let _small = filled(&torch, device, &[16], 1.0);
        let brought = began.elapsed();
        torch.record(device).unwrap().wait().unwrap();
        let second = began.elapsed();
        println!(
            "{device}: queued in {queued:?}, done before it {first:?}, tensor brought {brought:?}, done {second:?}"
        );
        assert!(first * 2 < second && brought * 2 < second, "{first:?}, {brought:?}, {second:?}");
        assert_eq!(numbers(&outputs[0]).len(), 4096);
    }
}
