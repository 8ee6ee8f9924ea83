// SPDX-License-Identifier: Apache-2.0

/// A connection to a broker, real or in memory. Methods may be called from any thread; handlers run on the connection's
/// own serial queue and must not block.
package protocol BrokerConnection: AnyObject, Sendable {
    /// Connects and stays connected: reconnects and subscribes again by itself until `stop`.
    func start()

    /// Asks for no more messages: nothing is read from the socket until `resume`. Counted: as many resumes as pauses.
    func pause()
    func resume()

    /// Sends `message`. `completion` is called exactly once, on the connection's queue. With QoS 0 `.accepted` means
    /// handed to the socket; with QoS 1 acknowledged by the broker. A message that waits in the bounded queue past
    /// `deadline` (monotonic nanoseconds) is not sent and ends `.expired`.
    /// `finalize`, if given, may rewrite the payload at the moment of sending (for its time of publication).
    func publish(
        _ message: Message, deadline: Int64?, finalize: (@Sendable (Payload) -> Void)?,
        completion: @escaping @Sendable (PublishOutcome) -> Void)

    /// Says goodbye: sends what is queued until the deadline, then DISCONNECT. Returns when the connection is closed.
    func stop(within: Duration)
}

package enum PublishOutcome: Sendable, Equatable {
    case accepted
    /// The deadline passed before it could be sent.
    case expired
    /// The bounded queue was full.
    case queueFull
    /// The broker refused it, with its reason code (MQTT 5), or the message itself is not valid.
    case refused(reason: String)
    /// The connection was stopped before it could be sent or acknowledged.
    case stopped
}

/// What a connection tells its owner.
package enum ConnectionEvent: Sendable, Equatable {
    case connected(sessionPresent: Bool)
    /// The connection is gone; another try follows after the delay.
    case disconnected(reason: String, retryAfter: Duration)
    /// The broker refused a subscription.
    case subscriptionRefused(filter: String, reason: String)
}
