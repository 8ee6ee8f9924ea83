// SPDX-License-Identifier: Apache-2.0

/// Whether a node is connected. Described by `Config/schemas/status.v1.json`.
enum Status: String {
    case online, offline

    func bytes(node: String, since unixNanoseconds: Int64) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.field("schema", "brokerside.status/1")
            json.field("node", node)
            json.field("status", rawValue)
            json.field("version", Version.number)
            json.field("since", time: unixNanoseconds)
        }
        return json.bytes
    }
}
