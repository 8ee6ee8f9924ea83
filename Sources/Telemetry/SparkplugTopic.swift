// SPDX-License-Identifier: Apache-2.0

/// An edge node of Sparkplug, by its group and name.
package struct SparkplugNode: Sendable, Hashable {
    package var group: String
    package var node: String

    /// Asks the node for its births, on the topic that it listens to (specification section 6.4.27).
    package var commandTopic: String { "spBv1.0/\(group)/NCMD/\(node)" }
}

/// A topic of Sparkplug B, specification 3.0.0 section 4: `spBv1.0/<group>/<type>/<node>[/<device>]`.
package struct SparkplugTopic: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case nodeBirth = "NBIRTH"
        case nodeDeath = "NDEATH"
        case nodeData = "NDATA"
        case nodeCommand = "NCMD"
        case deviceBirth = "DBIRTH"
        case deviceDeath = "DDEATH"
        case deviceData = "DDATA"
        case deviceCommand = "DCMD"

        fileprivate var isOfDevice: Bool { rawValue.hasPrefix("D") }
    }

    package var kind: Kind
    package var node: SparkplugNode
    /// Empty for what concerns the node itself.
    package var device: String

    /// Nil if it is none, or has a level of more than 512 bytes. The state of a host application, `spBv1.0/STATE/<host>`, is none either.
    package init?(_ text: String) {
        let levels = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (4...5).contains(levels.count), levels[0] == "spBv1.0", let kind = Kind(rawValue: String(levels[2])),
            kind.isOfDevice == (levels.count == 5),
            levels.allSatisfy({ (1...SeriesNames.maximumBytes).contains($0.utf8.count) })
        else { return nil }
        self.kind = kind
        node = SparkplugNode(group: String(levels[1]), node: String(levels[3]))
        device = kind.isOfDevice ? String(levels[4]) : ""
    }

    /// The same for all kinds of messages of a device, or of the node: `<group>/<node>[/<device>]`.
    package var key: String { "\(node.group)/\(node.node)" + (device.isEmpty ? "" : "/\(device)") }

    package static func isHostState(_ text: String) -> Bool { text.hasPrefix("spBv1.0/STATE/") }
}
