// SPDX-License-Identifier: Apache-2.0

/// How to reach one broker, and the limits that hold for every connection to it.
package struct MQTTSettings: Sendable, Equatable {
    package enum ProtocolVersion: Sendable, Equatable {
        case v311
        case v5
    }

    /// Files are PEM. They are read again at every attempt to connect, so renewed certificates need no restart.
    package struct TLS: Sendable, Equatable {
        /// Nil: the certificates of the system (`/etc/ssl/certs`).
        package var certificateAuthorityFile: String?
        package var certificateFile: String?
        package var keyFile: String?
        /// Accepts any certificate for any name. For trials only.
        package var insecure: Bool

        package init(
            certificateAuthorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
            insecure: Bool = false
        ) {
            self.certificateAuthorityFile = certificateAuthorityFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
            self.insecure = insecure
        }
    }

    package var host: String
    package var port: UInt16
    package var tls: TLS?
    package var username: String?
    package var password: String?
    package var protocolVersion = ProtocolVersion.v5
    /// A broker that refuses version 5 is asked again with 3.1.1.
    package var fallsBackToV311 = true
    /// 5 ... 65535 s (libmosquitto takes no less). An open window may not last longer than two thirds of it.
    package var keepAliveSeconds = 60
    /// From the first packet to the broker's CONNACK. Looking up the name of the host is bounded by the resolver.
    package var connectTimeout = Duration.seconds(10)
    package var backoff = Backoff()
    /// A longer payload is not kept: its message arrives empty, with `discardedPayloadBytes` set.
    package var maximumPayloadBytes = 64 << 20
    /// How long the broker keeps the session of a connection with a window. MQTT 5 only; 3.1.1 leaves it to the broker.
    package var sessionExpirySeconds: UInt32 = 86_400
    /// QoS 1 messages sent and not acknowledged yet; a smaller receive maximum of the broker counts. 1 ... 65535.
    package var publishInFlight = 100
    /// Payload memory that is kept for the next messages, all connections together.
    package var payloadPoolBytes = 32 << 20

    package init(host: String, port: UInt16? = nil, tls: TLS? = nil) {
        self.host = host
        self.port = port ?? (tls == nil ? 1883 : 8883)
        self.tls = tls
    }

    /// `mqtt://[user[:password]@]host[:port]`, or `mqtts://` for TLS. An IPv6 address stands in brackets; user and
    /// password may be percent-encoded. The port is 1883, with TLS 8883, if not given.
    package init(url: String) throws(MQTTError) {
        guard let separator = url.firstRange(of: "://") else {
            throw .address(url, reason: "write it as mqtt://host:port or mqtts://host:port")
        }
        let tls: TLS?
        switch url[..<separator.lowerBound].lowercased() {
        case "mqtt", "tcp": tls = nil
        case "mqtts", "ssl", "tls": tls = TLS()
        case let scheme: throw .address(url, reason: "\"\(scheme)\" is not supported, use mqtt or mqtts")
        }
        var rest = url[separator.upperBound...]
        if rest.hasSuffix("/") { rest.removeLast() }
        var credentials: [String] = []
        if let at = rest.lastIndex(of: "@") {
            for part in rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false) {
                guard let text = percentDecoded(part) else {
                    throw .address(withoutCredentials(url), reason: "user or password is not percent-encoded properly")
                }
                credentials.append(text)
            }
            rest = rest[rest.index(after: at)...]
        }
        let address = withoutCredentials(url)
        let host: Substring
        var port: UInt16?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { throw .address(address, reason: "\"]\" is missing") }
            host = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw .address(address, reason: "only a port may follow \"]\"")
            }
            guard host.allSatisfy({ $0.isHexDigit || ":.%".contains($0) || $0.isLetter }) else {
                throw .address(address, reason: "\"\(host)\" is not an IPv6 address")
            }
        } else {
            host = rest[..<(rest.firstIndex(of: ":") ?? rest.endIndex)]
            rest = rest[host.endIndex...]
        }
        if rest.hasPrefix(":") {
            guard let number = UInt16(rest.dropFirst()), number > 0 else {
                throw .address(address, reason: "\"\(rest.dropFirst())\" is not a port between 1 and 65535")
            }
            port = number
        }
        guard !host.isEmpty, !host.contains(where: { $0 == "/" || $0.isWhitespace || $0 == "\0" }) else {
            throw .address(address, reason: "the host is missing, or something follows it that does not belong there")
        }
        self.init(host: String(host), port: port, tls: tls)
        username = credentials.first
        password = credentials.count == 2 ? credentials[1] : nil
    }

    /// Everything that is wrong with the settings, as one error.
    package func validate() throws(MQTTError) {
        if !(5...65535).contains(keepAliveSeconds) {
            throw .options(reason: "the keep-alive is \(keepAliveSeconds) s, not between 5 and 65535")
        }
        if !(1...65535).contains(publishInFlight) {
            throw .options(reason: "\(publishInFlight) messages in flight are not between 1 and 65535")
        }
        if password != nil, username == nil { throw .options(reason: "there is a password but no user") }
        if (username?.utf8.count ?? 0) > 65535 || (password?.utf8.count ?? 0) > 65535 {
            throw .options(reason: "user or password is longer than 65535 bytes")
        }
        if maximumPayloadBytes < 0 || connectTimeout <= .zero { throw .options(reason: "a limit is negative") }
        if (tls?.certificateFile == nil) != (tls?.keyFile == nil) {
            throw .options(reason: "a client certificate needs its key file, and the key its certificate")
        }
    }
}

private func withoutCredentials(_ url: String) -> String {
    guard let separator = url.firstRange(of: "://"), let at = url.lastIndex(of: "@") else { return url }
    return String(url[..<separator.upperBound] + url[url.index(after: at)...])
}

private func percentDecoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%") {
            guard let value = UInt8(String(Substring(rest.prefix(2))), radix: 16), rest.count >= 2 else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}
