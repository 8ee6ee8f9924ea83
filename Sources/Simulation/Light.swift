// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Light of a moment: how surfaces are shaded, how dark shadows are, how bright and noisy the camera's picture is.
struct Light {
    /// From the ground towards the light.
    let direction: SIMD3<Float>
    /// Brightness of a surface is `ambient + diffuse * max(0, normal . direction)`.
    let ambient: Float
    let diffuse: Float
    /// Opacity of shadows on the ground.
    let shadow: Float
    /// Gain of the picture per channel.
    let gain: Colour
    /// Standard deviation of the camera's noise, in pixel values.
    let noise: Float

    /// Under the sky: a day from 6 to 18 h, lamps at night, clouds. `hour` in 0..<24, `cloud` in 0...1.
    static func outdoors(hour: Float, cloud: Float) -> Light {
        let elevation = sinf((hour - 6) / 12 * .pi)
        let day = max(0, min(1, elevation * 1.6 + 0.1))
        let azimuth = (hour - 12) / 12 * Float.pi * 0.9
        let sunny = max(0, min(1, elevation * 4)) * (1 - 0.75 * cloud)
        let direction = normalized(SIMD3(sinf(azimuth), max(0.55, elevation * 1.3), -0.45))
        // Low sun is warm, lamps at night are yellowish, an overcast sky is cold.
        let warm = max(0, 1 - abs(elevation) * 3)
        let brightness = (0.52 + 0.54 * day) * (1 - 0.14 * cloud)
        let tint = Colour(1 + 0.10 * warm, 1, 1 - 0.14 * warm + 0.05 * cloud)
        return Light(
            direction: direction, ambient: 0.78 - 0.12 * sunny, diffuse: 0.14 + 0.36 * sunny,
            shadow: 0.14 + 0.36 * sunny, gain: tint * brightness, noise: 2 + 3.5 * (1 - day))
    }

    /// Under ceiling lamps that flicker by `flicker` (relative).
    static func indoors(flicker: Float) -> Light {
        Light(
            direction: normalized(SIMD3(0.25, 1, -0.35)), ambient: 0.72, diffuse: 0.32, shadow: 0.26,
            gain: Colour(1.0, 0.99, 0.93) * (0.92 * (1 + flicker)), noise: 3)
    }

    func shade(_ colour: Colour, normal: SIMD3<Float>) -> Colour {
        colour * (ambient + diffuse * max(0, dot(normal, direction)))
    }

    /// Where the shadow of `position` falls on the ground.
    func shadow(of position: Position) -> Position {
        let length = position.y / direction.y
        return Position(position.x - direction.x * length, 0, position.z - direction.z * length)
    }
}
