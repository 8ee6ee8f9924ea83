// SPDX-License-Identifier: Apache-2.0

import Vision

/// What the cameras and machines of the demo send, in the order of time. From the same seed comes the same feed.
///
/// Memory: four cameras with their backdrops, about 16 MB. One thread pulls.
package final class DemoFeed {
    package struct Frame {
        package let site: CameraSite
        package let jpeg: [UInt8]
        package let truth: [TrueObject]
    }

    package enum Content {
        case frame(Frame)
        case telemetry(MachineKind, SimulatedMachine.Sample)
    }

    /// Evenly spaced moments.
    private struct Schedule {
        let start: Double
        let perSecond: Int
        var index = 0

        var next: Double { start + Double(index) / Double(perSecond) }
    }

    package let faults: [Fault]
    /// Given out so far, per camera or machine.
    package private(set) var publishedCounts: [String: Int] = [:]
    private var cameras: [(camera: SimulatedCamera, schedule: Schedule)]
    private var machines: [(machine: SimulatedMachine, schedule: Schedule)]
    private let seconds: Double
    private let encoder = JPEGEncoder()

    package init(seconds: Double, seed: UInt64) {
        self.seconds = seconds
        faults = FaultSchedule(seconds: seconds, seed: seed).faults
        // Out of step, as cameras are.
        cameras = CameraSite.allCases.enumerated().map {
            (
                SimulatedCamera(site: $1, seed: seed),
                Schedule(start: 0.037 * Double($0), perSecond: $1.format.framesPerSecond)
            )
        }
        let faults = faults
        machines = MachineKind.allCases.map {
            (
                SimulatedMachine(kind: $0, seed: seed, faults: faults),
                Schedule(start: 0, perSecond: MachineKind.samplesPerSecond)
            )
        }
    }

    /// When the next content is due, in seconds since the start; nil when the time is over.
    package var nextTime: Double? {
        let camera = cameras.map(\.schedule.next).min() ?? .infinity
        let machine = machines.map(\.schedule.next).min() ?? .infinity
        let time = min(camera, machine)
        return time < seconds ? time : nil
    }

    /// What is due at `nextTime`; nil when the time is over.
    package func next() -> (time: Double, content: Content)? {
        guard let time = nextTime else { return nil }
        if let index = machines.indices.first(where: { machines[$0].schedule.next == time }) {
            let sample = machines[index].machine.next()
            publishedCounts[machines[index].machine.kind.rawValue, default: 0] += 1
            machines[index].schedule.index += 1
            return (time, .telemetry(machines[index].machine.kind, sample))
        }
        guard let index = cameras.indices.first(where: { cameras[$0].schedule.next == time }) else { return nil }
        let camera = cameras[index].camera
        let format = camera.site.format
        cameras[index].schedule.index += 1
        publishedCounts[camera.site.rawValue, default: 0] += 1
        let truth = camera.render(at: time)
        let jpeg = encoder.encode(
            rgb: camera.pixels, width: format.width, height: format.height, quality: format.jpegQuality)
        return (time, .frame(Frame(site: camera.site, jpeg: jpeg, truth: truth)))
    }

    /// RGB pixels of a camera's last frame; valid until its next one.
    package func pixels(of site: CameraSite) -> UnsafeBufferPointer<UInt8> {
        for entry in cameras where entry.camera.site == site { return entry.camera.pixels }
        return UnsafeBufferPointer(start: nil, count: 0)
    }
}
