// SPDX-License-Identifier: Apache-2.0

/// A camera's sensor: gain per channel and noise.
///
/// value = clamp((pixel * gain) / 256 + (noise * amplitude) / 64), all in 16 bit integers.
struct Sensor {
    /// Normal noise of standard deviation 32, in -127...127, long enough that a random start hides its period.
    private let noise: [Int8]
    private let rowBytes: Int
    private static let noisePeriod = 1 << 16

    init(width: Int) {
        rowBytes = width * 3
        var random = SplitMix64(seed: 0x6e6f_6973)
        noise = (0..<Sensor.noisePeriod + width * 3 + 64).map { _ in
            Int8(max(-127, min(127, random.gaussian() * 32)))
        }
    }

    func expose(_ canvas: Canvas, light: Light, random: SplitMix64) {
        var random = random
        // Two pixels of three channels are six values; eight patterns of three vectors of 16 cover 16 pixels.
        let gain = light.gain * 256
        let gains = (0..<48).map { Int16(max(0, min(511, gain[$0 % 3]))) }
        let gain0 = SIMD16<Int16>(gains[0..<16])
        let gain1 = SIMD16<Int16>(gains[16..<32])
        let gain2 = SIMD16<Int16>(gains[32..<48])
        let amplitude = SIMD16<Int16>(repeating: Int16(max(0, min(255, light.noise * 2))))
        noise.withUnsafeBufferPointer { noise in
            guard let noiseBase = noise.baseAddress else { return }
            for row in 0..<canvas.height {
                let line = UnsafeMutableRawPointer(canvas.pixels + row * rowBytes)
                let grain = UnsafeRawPointer(noiseBase + Int(random.next() % UInt64(Sensor.noisePeriod)))
                var offset = 0
                while offset + 48 <= rowBytes {
                    Sensor.expose(line + offset, grain + offset, gain0, amplitude)
                    Sensor.expose(line + offset + 16, grain + offset + 16, gain1, amplitude)
                    Sensor.expose(line + offset + 32, grain + offset + 32, gain2, amplitude)
                    offset += 48
                }
                assert(offset == rowBytes, "widths are multiples of 16")
            }
        }
    }

    @inline(__always)
    private static func expose(
        _ pixels: UnsafeMutableRawPointer, _ noise: UnsafeRawPointer, _ gain: SIMD16<Int16>, _ amplitude: SIMD16<Int16>
    ) {
        let old = SIMD16<UInt16>(truncatingIfNeeded: pixels.loadUnaligned(as: SIMD16<UInt8>.self))
        let grain = SIMD16<Int16>(truncatingIfNeeded: noise.loadUnaligned(as: SIMD16<Int8>.self))
        // At most 255 * 511, which needs 17 bits: the gain loses its last bit.
        let lit = (old &* SIMD16<UInt16>(truncatingIfNeeded: gain &>> 1)) &>> 7
        let sum = SIMD16<Int16>(truncatingIfNeeded: lit) &+ ((grain &* amplitude) &>> 6)
        let clamped = sum.clamped(lowerBound: .zero, upperBound: SIMD16(repeating: 255))
        pixels.storeBytes(of: SIMD16<UInt8>(truncatingIfNeeded: clamped), as: SIMD16<UInt8>.self)
    }
}
