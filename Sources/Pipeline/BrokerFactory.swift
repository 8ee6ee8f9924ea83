// SPDX-License-Identifier: Apache-2.0

import MQTT
import Streaming

/// Makes the broker client that a configuration describes.
package enum BrokerFactory {
    /// Throws what is wrong with the address, in words for the one who wrote it.
    static func checkAddress(_ url: String) throws { _ = try MQTTSettings(url: url) }

    package static func makeBroker(_ configuration: Configuration) throws -> MQTTBroker {
        let section = configuration.broker
        var settings = try MQTTSettings(url: section.url)
        if let username = section.username { settings.username = username }
        if let password = section.password { settings.password = password }
        if let tls = section.tls {
            settings.tls = MQTTSettings.TLS(
                certificateAuthorityFile: tls.caFile, certificateFile: tls.certificateFile, keyFile: tls.keyFile,
                insecure: tls.insecure)
        }
        settings.protocolVersion = section.version == .v5 ? .v5 : .v311
        settings.keepAliveSeconds = Int(section.keepAlive.components.seconds)
        settings.maximumPayloadBytes = configuration.sources.map(\.maximumBytes).max() ?? 0
        return try MQTTBroker(settings)
    }
}
