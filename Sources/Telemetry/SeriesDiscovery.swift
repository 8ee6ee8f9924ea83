// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Finds the series in what devices send: every number and boolean of a JSON text, named by the way to it
/// (`/ENERGY/Power` is `ENERGY.Power`).
///
/// Looks at every message as long as new series keep coming, later at one of `laterInterval`: devices that join are found
/// soon, and a steady stream pays little. At most `capacity` series are found; further ones are not read.
package struct SeriesDiscovery: Sendable {
    package static let capacity = 256
    private static let calmAfter = 200
    private static let laterInterval = 16

    private var pointers: Set<String> = []
    private var names: Set<String> = []
    private var messagesSinceNew = 0

    package init() {}

    /// The series of `payload` that were not known before, in alphabetical order of their pointers. Empty for a payload
    /// that is not JSON: whoever parses it says why.
    package mutating func find(in payload: UnsafeRawBufferPointer) -> [SeriesDeclaration] {
        messagesSinceNew += 1
        guard messagesSinceNew <= SeriesDiscovery.calmAfter || messagesSinceNew % SeriesDiscovery.laterInterval == 0,
            pointers.count < SeriesDiscovery.capacity, SeriesDiscovery.scanFault(payload) == nil,
            let base = payload.baseAddress
        else { return [] }
        // Checked above: bounded depth, valid UTF-8.
        let data = Data(bytesNoCopy: UnsafeMutableRawPointer(mutating: base), count: payload.count, deallocator: .none)
        guard let root = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) else { return [] }
        var found: [String] = []
        collect(root, at: "", into: &found)
        let fresh = found.sorted().prefix(SeriesDiscovery.capacity - pointers.count).compactMap { declare($0) }
        if !fresh.isEmpty { messagesSinceNew = 0 }
        return Array(fresh)
    }

    private func collect(_ value: Any, at pointer: String, into found: inout [String]) {
        switch value {
        case let object as [String: Any]:
            for (name, member) in object {
                let token = name.replacingOccurrences(of: "~", with: "~0").replacingOccurrences(of: "/", with: "~1")
                collect(member, at: pointer + "/" + token, into: &found)
            }
        case let array as [Any]:
            for (index, element) in array.enumerated() { collect(element, at: "\(pointer)/\(index)", into: &found) }
        case is NSNumber: if !pointers.contains(pointer) { found.append(pointer) }
        default: break
        }
    }

    private mutating func declare(_ text: String) -> SeriesDeclaration? {
        guard let pointer = try? JSONPointer(text) else { return nil }
        pointers.insert(text)
        var name = SeriesDiscovery.name(of: text)
        // Two ways may give one name (`a/b` and `a.b`); the later one gets a number.
        var number = 2
        while !names.insert(name).inserted {
            name = "\(SeriesDiscovery.name(of: text))_\(number)"
            number += 1
        }
        return SeriesDeclaration(name: name, pointer: pointer)
    }

    /// One level of a topic: without `/`, `+`, `#` and control characters.
    private static func name(of pointer: String) -> String {
        guard !pointer.isEmpty else { return "value" }
        return String(
            String.UnicodeScalarView(
                pointer.dropFirst().unicodeScalars.map { scalar in
                    switch scalar {
                    case "/": "."
                    case "+", "#": "_"
                    default: scalar.value < 0x20 || scalar.value == 0x7F ? "_" : scalar
                    }
                }))
    }

    /// Why a payload without series has none.
    package static func fault(of payload: UnsafeRawBufferPointer) -> TelemetryFault {
        scanFault(payload) ?? .noSamples
    }

    private static func scanFault(_ payload: UnsafeRawBufferPointer) -> TelemetryFault? {
        let nothing = UnsafeMutableBufferPointer<JSONSlot>(start: nil, count: 0)
        do { try JSONScanner.scan(payload, for: WantedPaths([]), into: nothing) } catch { return error }
        return nil
    }
}
