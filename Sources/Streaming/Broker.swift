// SPDX-License-Identifier: Apache-2.0

/// Makes connections to one broker: a real one (`MQTT`) or one in memory (tests).
package protocol Broker: Sendable {
    /// `onMessage` and `onEvent` run on the connection's own serial queue and must not block. Nothing happens before
    /// `start`. Throws what is wrong with the options.
    func makeConnection(
        _ options: ConnectionOptions, onMessage: @escaping @Sendable (Message) -> Void,
        onEvent: @escaping @Sendable (ConnectionEvent) -> Void
    ) throws -> any BrokerConnection
}

package struct ConnectionOptions: Sendable {
    package struct Subscription: Sendable, Hashable {
        package var filter: TopicFilter
        package var qos: QualityOfService
        /// Name of the group of a shared subscription (`$share/<group>/<filter>`).
        package var share: String?

        package init(filter: TopicFilter, qos: QualityOfService, share: String? = nil) {
            self.filter = filter
            self.qos = qos
            self.share = share
        }
    }

    package var clientID: String
    package var subscriptions: [Subscription]
    /// With a window W the session is kept by the broker between connections, and a QoS 1 message is acknowledged only
    /// after it was reported finished: at most W received messages are open, all of them are acknowledged together.
    /// Nil: QoS 0, nothing is withheld.
    package var window: Int?
    /// Published by the broker when the connection is lost.
    package var will: Message?
    /// Messages and bytes that may wait for being sent; beyond either `publish` ends `.queueFull`.
    package var publishQueueCount: Int
    package var publishQueueBytes: Int

    package init(
        clientID: String, subscriptions: [Subscription] = [], window: Int? = nil, will: Message? = nil,
        publishQueueCount: Int = 1000, publishQueueBytes: Int = 16 << 20
    ) {
        self.clientID = clientID
        self.subscriptions = subscriptions
        self.window = window
        self.will = will
        self.publishQueueCount = publishQueueCount
        self.publishQueueBytes = publishQueueBytes
    }
}

/// A connection to a broker. Methods may be called from any thread.
package protocol BrokerConnection: AnyObject, Sendable {
    /// Connects and stays connected: reconnects and subscribes again by itself until `stop`.
    func start()

    /// Asks for no more messages: nothing is read from the socket until as many `resume` as `pause` were called.
    func pause()
    func resume()

    /// As many of the received messages have reached their outcome. See `ConnectionOptions.window`.
    func finished(_ count: Int)

    /// Sends `message`. `completion` is called exactly once, on the connection's queue. With QoS 0 `.accepted` means
    /// handed to the socket, with QoS 1 acknowledged by the broker. What still waits at `deadline` (monotonic
    /// nanoseconds) is not sent and ends `.expired`. `finalize` may rewrite bytes of the payload at the moment of
    /// sending (for its time of publication).
    /// On a connection with a window nothing is sent while received messages are open: publish results on another one.
    func publish(
        _ message: Message, deadline: Int64?, finalize: (@Sendable (Payload) -> Void)?,
        completion: @escaping @Sendable (PublishOutcome) -> Void)

    /// Sends what is queued, waits for acknowledgements, both within the given time, then sends DISCONNECT. Returns when
    /// the connection is closed and every completion was called. Not to be called from a handler.
    func stop(within: Duration)
}

package enum PublishOutcome: Sendable, Equatable {
    case accepted
    /// The deadline passed before it could be sent.
    case expired
    /// The bounded queue was full.
    case queueFull
    /// The broker refused it (reason code of MQTT 5), or the message itself is not valid.
    case refused(reason: String)
    /// The connection was stopped before it could be sent or acknowledged.
    case stopped
}

/// What a connection tells its owner.
package enum ConnectionEvent: Sendable, Equatable {
    case connected(sessionPresent: Bool)
    /// The broker has answered every subscription of this connection; those it refused were reported before. Not for a
    /// connection without subscriptions.
    case subscribed
    /// The connection is gone, or could not be made; another try follows after the delay.
    case disconnected(reason: String, retryAfter: Duration)
    /// The broker refused a subscription.
    case subscriptionRefused(filter: String, reason: String)
}
