// SPDX-License-Identifier: Apache-2.0

import Testing
import Vision

@testable import Simulation

@Suite struct SceneTests {
    private func frames(_ site: CameraSite, seed: UInt64, times: [Double]) -> [(pixels: [UInt8], truth: [TrueObject])] {
        let camera = SimulatedCamera(site: site, seed: seed)
        return times.map { time in
            let truth = camera.render(at: time)
            return (Array(camera.pixels), truth)
        }
    }

    @Test func sameSeedAndTimesGiveTheSamePixelsAndTruth() {
        let first = frames(.dock, seed: 3, times: [1, 4.5])
        let second = frames(.dock, seed: 3, times: [1, 4.5])
        for (a, b) in zip(first, second) {
            #expect(a.pixels == b.pixels)
            #expect(a.truth == b.truth)
        }
    }

    @Test func framesBetweenDoNotChangeWhatALaterFrameShows() {
        let direct = frames(.yard, seed: 5, times: [12])
        let stepped = frames(.yard, seed: 5, times: [0, 3, 11.9, 12])
        #expect(direct[0].pixels == stepped[3].pixels)
        #expect(direct[0].truth == stepped[3].truth)
    }

    @Test func anotherSeedGivesAnotherPlace() {
        #expect(frames(.dock, seed: 1, times: [2])[0].pixels != frames(.dock, seed: 2, times: [2])[0].pixels)
    }

    @Test(arguments: CameraSite.allCases)
    func truthBoxesLieWithinTheFrame(site: CameraSite) {
        let format = site.format
        for frame in frames(site, seed: 11, times: [0.5, 9, 30, 47]) {
            for object in frame.truth {
                #expect(object.box.x >= 0 && object.box.y >= 0)
                #expect(object.box.width >= 1 && object.box.height >= 1)
                #expect(object.box.x + object.box.width <= Float(format.width))
                #expect(object.box.y + object.box.height <= Float(format.height))
            }
        }
    }

    @Test func allClassesAppearOnEveryDay() {
        var seen: [ObjectClass: Int] = [:]
        SceneSampler(seed: 21).forEachFrame(count: 40) { _, _, objects in
            for object in objects where !object.isIgnored { seen[object.object, default: 0] += 1 }
        }
        for object in ObjectClass.allCases { #expect(seen[object, default: 0] >= 10) }
    }

    @Test func smallObjectsAreIgnored() {
        SceneSampler(seed: 22).forEachFrame(count: 20) { _, camera, objects in
            for object in objects where !object.isIgnored {
                #expect(object.box.height >= SimulatedCamera.leastHeightShare * Float(camera.site.format.height))
            }
        }
    }
}

@Suite struct CanvasTests {
    @Test func aSquareCoversItsPixelsAndOwnsThem() {
        let canvas = Canvas(width: 8, height: 8)
        canvas.fill([Point(2, 2), Point(6, 2), Point(6, 5), Point(2, 5)], Paint(Colour(200, 100, 50)), owner: 7)
        let owned = (0..<64).filter { canvas.owners[$0] == 7 }
        #expect(owned == [18, 19, 20, 21, 26, 27, 28, 29, 34, 35, 36, 37])
        #expect(Array(UnsafeBufferPointer(start: canvas.pixels + 18 * 3, count: 3)) == [200, 100, 50])
        #expect(canvas.pixels[0] == 0)
    }

    @Test func bothOrientationsDrawTheSame() {
        let corners = [Point(1.5, 1), Point(7, 3.25), Point(3, 6.5)]
        let one = Canvas(width: 8, height: 8)
        let other = Canvas(width: 8, height: 8)
        one.fill(corners, Paint(Colour(255, 255, 255)))
        other.fill(corners.reversed(), Paint(Colour(255, 255, 255)))
        for index in 0..<192 { #expect(one.pixels[index] == other.pixels[index]) }
    }

    @Test func halfCoveredPixelsAreHalfBright() {
        let canvas = Canvas(width: 4, height: 4)
        canvas.fill([Point(1, 0), Point(2.5, 0), Point(2.5, 4), Point(1, 4)], Paint(Colour(200, 200, 200)))
        #expect(canvas.pixels[3] == 200)
        #expect(canvas.pixels[6] == 100)
        #expect(canvas.pixels[9] == 0)
    }

    @Test func shapesOutsideOrOfNoNumbersDrawNothing() {
        let canvas = Canvas(width: 4, height: 4)
        canvas.fill([Point(90, 90), Point(95, 90), Point(95, 99)], Paint(Colour(255, 255, 255)))
        canvas.fill([Point(.nan, 0), Point(2, 0), Point(2, 2)], Paint(Colour(255, 255, 255)))
        canvas.fill([Point(.infinity, 0), Point(2, 0), Point(2, 2)], Paint(Colour(255, 255, 255)))
        for index in 0..<48 { #expect(canvas.pixels[index] == 0) }
    }

    @Test func hullLeavesOutInnerPoints() {
        let hull = convexHull([Point(0, 0), Point(4, 0), Point(2, 2), Point(4, 4), Point(0, 4), Point(1, 2)])
        #expect(Set(hull) == [Point(0, 0), Point(4, 0), Point(4, 4), Point(0, 4)])
    }
}

@Suite struct ProjectionTests {
    @Test func groundIsTheInverseOfProject() throws {
        let projection = Projection(
            width: 640, height: 480, heightMetres: 3, pitchDegrees: 20, horizontalFieldDegrees: 66)
        for place in [Position(0, 0, 8), Position(-3, 0, 5), Position(6, 0, 20)] {
            let pixel = try #require(projection.project(place))
            let back = try #require(projection.ground(at: pixel))
            #expect(abs(back.x - place.x) < 0.01 && abs(back.z - place.z) < 0.02)
        }
    }

    @Test func nothingBehindTheCameraIsProjected() {
        let projection = Projection(
            width: 640, height: 480, heightMetres: 3, pitchDegrees: 20, horizontalFieldDegrees: 66)
        #expect(projection.project(Position(0, 0, -5)) == nil)
    }
}

@Suite struct DemoFeedTests {
    @Test func contentsComeInTheOrderOfTimeAtTheirRates() {
        let feed = DemoFeed(seconds: 1, seed: 2)
        var last = 0.0
        while let due = feed.nextTime {
            #expect(due >= last && due < 1)
            last = due
            #expect(feed.next()?.time == due)
        }
        for site in CameraSite.allCases {
            #expect(feed.publishedCounts[site.rawValue] == site.format.framesPerSecond)
        }
        for machine in MachineKind.allCases {
            #expect(feed.publishedCounts[machine.rawValue] == MachineKind.samplesPerSecond)
        }
        #expect(feed.next() == nil)
    }

    @Test func framesAreJPEGOfTheCamerasSize() throws {
        let feed = DemoFeed(seconds: 1, seed: 2)
        while let (_, content) = feed.next() {
            guard case .frame(let frame) = content else { continue }
            #expect(frame.jpeg.prefix(2) == [0xFF, 0xD8])
            #expect(frame.jpeg.suffix(2) == [0xFF, 0xD9])
            #expect(feed.pixels(of: frame.site).count == frame.site.format.width * frame.site.format.height * 3)
            return
        }
    }
}
