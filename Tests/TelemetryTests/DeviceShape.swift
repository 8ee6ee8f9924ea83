// SPDX-License-Identifier: Apache-2.0

import TestSupport

@testable import Telemetry

/// What a device sends, as a shape with open values.
indirect enum DeviceShape: Sendable {
    /// With so many decimals, in a range.
    case number(ClosedRange<Double>, decimals: Int = 2)
    case flag
    case text([String])
    case null
    case object([(String, DeviceShape)])
    case array([DeviceShape])

    /// Messages as they are on the topics of these firmwares.
    static let all: [(name: String, shape: DeviceShape)] = [
        ("tasmota/SENSOR", .tasmotaSensor), ("tasmota/STATE", .tasmotaState), ("tasmota/three phases", .tasmotaPhases),
        ("zigbee2mqtt/climate", .zigbeeClimate), ("zigbee2mqtt/contact", .zigbeeContact),
        ("zigbee2mqtt/plug", .zigbeePlug),
        ("zigbee2mqtt/bulb", .zigbeeBulb), ("shelly/NotifyStatus", .shellyStatus), ("shelly/Gen1 info", .shellyInfo),
    ]

    private static let time = DeviceShape.text(["2026-03-01T12:00:00", "2026-03-29T03:15:59"])

    static let tasmotaSensor = DeviceShape.object([
        ("Time", time),
        ("DS18B20", .object([("Id", .text(["0316A4799C"])), ("Temperature", .number(-30...80, decimals: 1))])),
        (
            "BME280",
            .object([
                ("Temperature", .number(-10...40, decimals: 1)), ("Humidity", .number(0...100, decimals: 1)),
                ("DewPoint", .number(-10...20, decimals: 1)), ("Pressure", .number(900...1100, decimals: 1)),
            ])
        ),
        (
            "ENERGY",
            .object([
                ("TotalStartTime", time), ("Total", .number(0...9000, decimals: 3)),
                ("Today", .number(0...9, decimals: 3)),
                ("Period", .number(0...9, decimals: 0)), ("Power", .number(0...3000, decimals: 0)),
                ("Factor", .number(0...1)), ("Voltage", .number(210...240, decimals: 0)),
                ("Current", .number(0...16, decimals: 3)),
            ])
        ),
        ("PressureUnit", .text(["hPa"])), ("TempUnit", .text(["C"])),
    ])
    static let tasmotaState = DeviceShape.object([
        ("Time", time), ("Uptime", .text(["0T01:10:00"])), ("UptimeSec", .number(0...10_000_000, decimals: 0)),
        ("Heap", .number(10...40, decimals: 0)), ("SleepMode", .text(["Dynamic"])), ("POWER", .text(["ON", "OFF"])),
        (
            "Wifi",
            .object([
                ("AP", .number(1...2, decimals: 0)), ("SSId", .text(["Büro \\\"2\\\"", "haus"])),
                ("BSSId", .text(["3C:A6:2F:00:00:01"])), ("RSSI", .number(0...100, decimals: 0)),
                ("Signal", .number(-90 ... -30, decimals: 0)),
            ])
        ),
    ])
    static let tasmotaPhases = DeviceShape.object([
        ("Time", time),
        (
            "ENERGY",
            .object([
                ("Total", .number(0...9000, decimals: 3)),
                ("Power", .array([.number(0...3000, decimals: 0), .number(0...3000, decimals: 0), .null])),
            ])
        ),
    ])
    static let zigbeeClimate = DeviceShape.object([
        ("battery", .number(0...100, decimals: 0)), ("humidity", .number(0...100)),
        ("linkquality", .number(0...255, decimals: 0)),
        ("pressure", .number(900...1100, decimals: 1)), ("temperature", .number(-20...50)),
        ("last_seen", .text(["2026-03-01T12:00:00+01:00"])),
    ])
    static let zigbeeContact = DeviceShape.object([
        ("battery_low", .flag), ("contact", .flag), ("linkquality", .number(0...255, decimals: 0)), ("tamper", .flag),
        ("voltage", .number(2000...3300, decimals: 0)), ("device_temperature", .null),
    ])
    static let zigbeePlug = DeviceShape.object([
        ("current", .number(0...16)), ("energy", .number(0...9999)), ("power", .number(0...3680, decimals: 1)),
        ("state", .text(["ON", "OFF"])), ("power_outage_memory", .text(["restore"])),
        (
            "update",
            .object([
                ("installed_version", .number(1...99, decimals: 0)), ("latest_version", .number(1...99, decimals: 0)),
                ("state", .text(["idle", "available"])),
            ])
        ), ("update_available", .null),
    ])
    static let zigbeeBulb = DeviceShape.object([
        ("brightness", .number(0...254, decimals: 0)),
        ("color", .object([("x", .number(0...1)), ("y", .number(0...1))])),
        ("color_mode", .text(["xy", "color_temp"])), ("effect", .null), ("state", .text(["ON", "OFF"])),
    ])
    static let shellyStatus = DeviceShape.object([
        ("src", .text(["shellyplus1pm-a8032abe54dc"])), ("dst", .text(["shellyplus1pm-a8032abe54dc/events"])),
        ("method", .text(["NotifyStatus"])),
        (
            "params",
            .object([
                ("ts", .number(1_760_000_000...1_790_000_000)),
                (
                    "switch:0",
                    .object([
                        ("id", .number(0...3, decimals: 0)), ("apower", .number(0...3000, decimals: 1)),
                        (
                            "aenergy",
                            .object([
                                ("by_minute", .array([.number(0...50, decimals: 3), .number(0...50, decimals: 3)])),
                                ("minute_ts", .number(1_760_000_000...1_790_000_000, decimals: 0)),
                                ("total", .number(0...99_999, decimals: 3)),
                            ])
                        ), ("output", .flag), ("source", .text(["MQTT", "button"])),
                        (
                            "temperature",
                            .object([("tC", .number(20...90, decimals: 1)), ("tF", .number(60...200, decimals: 1))])
                        ),
                    ])
                ),
            ])
        ),
    ])
    static let shellyInfo = DeviceShape.object([
        (
            "wifi_sta",
            .object([("connected", .flag), ("ssid", .text(["haus"])), ("rssi", .number(-90 ... -30, decimals: 0))])
        ),
        ("relays", .array([.object([("ison", .flag), ("has_timer", .flag), ("source", .text(["input"]))])])),
        (
            "meters",
            .array([
                .object([("power", .number(0...3000)), ("is_valid", .flag), ("total", .number(0...1e9, decimals: 0))])
            ])
        ),
        ("tmp", .object([("tC", .number(20...90)), ("is_valid", .text(["true"]))])),
        ("uptime", .number(0...1e7, decimals: 0)),
        ("unixtime", .number(1_760_000_000...1_790_000_000, decimals: 0)),
    ])
}

/// Messages of a shape with what stands in them.
struct DeviceMessages {
    var generator: SeededGenerator

    struct Message {
        var text = ""
        /// Each number and boolean by the name that it is to have.
        var values: [String: Double] = [:]
        /// Where values begin and end, in bytes.
        var places: [Range<Int>] = []
    }

    mutating func message(_ shape: DeviceShape) -> Message {
        var message = Message()
        let gap = [" ", "", "\n  "].randomElement(using: &generator) ?? ""
        write(shape, "", gap, &message)
        return message
    }

    private mutating func write(_ shape: DeviceShape, _ name: String, _ gap: String, _ message: inout Message) {
        func below(_ level: String) -> String { name.isEmpty ? level : "\(name).\(level)" }
        let start = message.text.utf8.count
        switch shape {
        case .number(let range, let decimals):
            var unit = 1.0
            for _ in 0..<decimals { unit *= 10 }
            let value = (Double.random(in: range, using: &generator) * unit).rounded() / unit
            let text = decimals == 0 ? String(Int(value)) : String(value)
            message.text += text
            message.values[name] = Double(text)
        case .flag:
            let value = Bool.random(using: &generator)
            message.text += value ? "true" : "false"
            message.values[name] = value ? 1 : 0
        case .text(let texts): message.text += "\"\(texts.randomElement(using: &generator) ?? "")\""
        case .null: message.text += "null"
        case .object(let members):
            message.text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { message.text += "," + gap }
                message.text += "\"\(member.0)\":\(gap)"
                write(member.1, below(member.0), gap, &message)
            }
            message.text += "}"
            return
        case .array(let elements):
            message.text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { message.text += "," }
                write(element, below(String(index)), gap, &message)
            }
            message.text += "]"
            return
        }
        message.places.append(start..<message.text.utf8.count)
    }
}
