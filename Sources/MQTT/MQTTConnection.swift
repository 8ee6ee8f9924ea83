// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Streaming
import Synchronization

/// A supervised connection: libmosquitto driven by Dispatch sources on one serial queue.
///
/// Comes in: packets of the broker, publications from any thread. Goes out: messages and events on the connection's
/// queue, the outcome of every publication. Nothing is dropped here but publications, which end with an outcome. Bounds:
/// the publish queue of the options, `publishInFlight` unacknowledged messages, `handOverBytes` inside libmosquitto.
///
/// A pause longer than the keep-alive costs the connection, as the broker's answer to a ping cannot be read; it is made
/// again at once.
///
/// `@unchecked Sendable`: what is mutable belongs to `queue`, but for `shared` and the atomics.
package final class MQTTConnection: BrokerConnection, @unchecked Sendable {
    /// What is handed to libmosquitto before it is made to write: enough for a few full segments.
    private static let handOverBytes = 256 << 10
    private static let handOverCount = 128
    /// Packets read before others on the queue get their turn.
    private static let readBudget = 4096
    /// Attempts that block in the resolver or in `connect`; all but the last were given up.
    private static let maximumOpeningAttempts = 8
    private static let tickMilliseconds = 200
    /// How long the broker may take to close its side after DISCONNECT.
    private static let lingerMilliseconds = 500

    private struct Shared: ~Copyable {
        var outbox: Outbox
        /// Ended before they were taken into the queue; their completions run with the next service.
        var rejected: [(completion: @Sendable (PublishOutcome) -> Void, outcome: PublishOutcome)] = []
    }

    private let settings: MQTTSettings
    private let options: ConnectionOptions
    private let pool: PayloadPool
    private let onMessage: @Sendable (Message) -> Void
    private let onEvent: @Sendable (ConnectionEvent) -> Void
    private let queue: DispatchQueue
    private let stopped = DispatchGroup()

    private let shared: Mutex<Shared>
    private let pauseCount = Atomic<Int>(0)
    /// Messages received and not finished; counted only with a window.
    private let openCount = Atomic<Int>(0)
    private let isWakePending = Atomic<Bool>(false)

    private var supervisor: Supervisor
    private var client: MosquittoClient?
    private var watch: SocketWatch?
    private var window: AcknowledgeWindow?
    private var numbers = DeliveryNumbers()
    private var version: MQTTSettings.ProtocolVersion
    private var timer: (any DispatchSourceTimer)?
    private var attempt = 0
    private var openingAttempts = 0
    private var inFlight: [Int32: Publication] = [:]
    private var inFlightAtLeastOnceCount = 0
    private var inFlightLimit = 0
    private var lastPacketID: Int32 = 0
    private var pendingSubscriptions: [Int32: ConnectionOptions.Subscription] = [:]
    private var isConnected = false
    private var isStarted = false
    private var isStopping = false
    private var isLingering = false

    init(
        settings: MQTTSettings, options: ConnectionOptions, pool: PayloadPool,
        onMessage: @escaping @Sendable (Message) -> Void, onEvent: @escaping @Sendable (ConnectionEvent) -> Void
    ) {
        self.settings = settings
        self.options = options
        self.pool = pool
        self.onMessage = onMessage
        self.onEvent = onEvent
        queue = DispatchQueue(label: "mqtt.\(options.clientID)")
        shared = Mutex(
            Shared(
                outbox: Outbox(
                    capacityCount: options.publishQueueCount, capacityBytes: options.publishQueueBytes)))
        supervisor = Supervisor(backoff: settings.backoff, connectTimeout: settings.connectTimeout)
        version = settings.protocolVersion
        stopped.enter()
    }

    // MARK: Any thread

    package func start() {
        queue.async { [self] in
            guard !isStarted, !isStopping else { return }
            isStarted = true
            let timer = DispatchSource.makeTimerSource(queue: queue)
            timer.schedule(
                deadline: .now(), repeating: .milliseconds(MQTTConnection.tickMilliseconds), leeway: .milliseconds(20))
            timer.setEventHandler { [self] in tick() }
            timer.activate()
            self.timer = timer
            perform(.start)
        }
    }

    package func pause() { pauseCount.add(1, ordering: .acquiringAndReleasing) }

    package func resume() {
        let rest = pauseCount.subtract(1, ordering: .acquiringAndReleasing).newValue
        precondition(rest >= 0, "more resumes than pauses")
        if rest == 0 { wake() }
    }

    package func finished(_ count: Int) {
        guard options.window != nil, count > 0 else { return }
        let open = openCount.subtract(count, ordering: .acquiringAndReleasing).newValue
        precondition(open >= 0, "more messages finished than received")
        if open == 0 { wake() }
    }

    package func publish(
        _ message: Message, deadline: Int64?, finalize: (@Sendable (Payload) -> Void)?,
        completion: @escaping @Sendable (PublishOutcome) -> Void
    ) {
        let publication = Publication(
            message: message, deadline: deadline ?? .max, finalize: finalize, completion: completion)
        shared.withLock { shared in
            if let outcome = shared.outbox.add(publication) { shared.rejected.append((completion, outcome)) }
        }
        wake()
    }

    package func stop(within: Duration) {
        dispatchPrecondition(condition: .notOnQueue(queue))
        queue.async { [self] in beginStop(within: within) }
        stopped.wait()
    }

    /// Lets `service` run once on the queue, however often this is called before.
    private func wake() {
        guard !isWakePending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        queue.async { [self] in
            isWakePending.store(false, ordering: .releasing)
            service()
        }
    }

    // MARK: The queue

    /// Does all there is to do: publishes, acknowledges, reads; then waits for the socket again.
    private func service() {
        dispatchPrecondition(condition: .onQueue(queue))
        settleRejected()
        if isLingering { return linger() }
        writeAll()
        var budget = MQTTConnection.readBudget
        while mayRead, let client {
            let isMore = client.read()
            handleEvents()
            // The library's TLS handshake says nothing about what is left; the socket does.
            guard isMore, isConnected else { break }
            budget -= 1
            if budget == 0 {
                wake()
                break
            }
        }
        writeAll()
        finishStopIfDone()
        watchSocket()
    }

    private var mayRead: Bool {
        guard client != nil else { return false }
        if !isConnected { return true }
        if isStopping { return window == nil && !inFlight.isEmpty }
        return pauseCount.load(ordering: .acquiring) == 0
            && window?.mayRead(open: openCount.load(ordering: .acquiring)) ?? true
    }

    private var mayWrite: Bool { window?.mayWrite(open: openCount.load(ordering: .acquiring)) ?? true }

    private func watchSocket() {
        guard let client, !isLingering else { return }
        watch?.wants(reads: mayRead, writes: client.wantsWrite && mayWrite)
    }

    /// Writes what libmosquitto has queued and hands it more, until there is no more or the socket takes no more.
    private func writeAll() {
        guard mayWrite else { return }
        window?.acknowledged()
        numbers.acknowledged()
        while let client {
            if client.wantsWrite {
                client.write()
                handleEvents()
                if client.wantsWrite || self.client == nil { return }
            }
            if !handOver(to: client) { return }
        }
    }

    /// Moves waiting publications to libmosquitto. False when none could be moved.
    private func handOver(to client: MosquittoClient) -> Bool {
        guard isConnected else { return false }
        let now = Instant.now.monotonicNanoseconds
        var bytes = 0
        var count = 0
        while count < MQTTConnection.handOverCount, bytes < MQTTConnection.handOverBytes {
            // libmosquitto numbers packets without looking whether the number is free.
            let nextPacketID = lastPacketID == 65535 ? 1 : lastPacketID + 1
            guard inFlight[nextPacketID] == nil else { break }
            let hasRoom = inFlightAtLeastOnceCount < inFlightLimit
            let next = shared.withLock { shared -> Publication? in
                guard let first = shared.outbox.first, first.message.qos == .atMostOnce || hasRoom else { return nil }
                return shared.outbox.popFirst()
            }
            guard let publication = next else { break }
            count += 1
            if publication.deadline <= now {
                publication.completion(.expired)
                continue
            }
            publication.finalize?(publication.message.payload)
            switch client.publish(publication.message) {
            case .handedOver(let packetID):
                bytes += publication.bytes
                lastPacketID = packetID
                inFlight[packetID] = publication
                if publication.message.qos == .atLeastOnce { inFlightAtLeastOnceCount += 1 }
            case .refused(let reason): publication.completion(.refused(reason: reason))
            case .lost:
                shared.withLock { $0.outbox.putBack([publication]) }
                handleEvents()
                return false
            }
        }
        return count > 0
    }

    private func handleEvents() {
        guard let client else { return }
        for event in client.takeEvents() {
            // Publications of a lost connection were put back; the rest of its events means nothing.
            guard self.client === client else { return }
            switch event {
            case .accepted(let sessionPresent, let receiveMaximum):
                inFlightLimit = min(settings.publishInFlight, receiveMaximum)
                isConnected = true
                numbers.connected(sessionPresent: sessionPresent)
                perform(.accepted(sessionPresent: sessionPresent))
            case .refused(let reason, let isVersionUnsupported):
                if isVersionUnsupported, settings.fallsBackToV311 { version = .v311 }
                perform(.failed(reason: "refused by the broker: \(reason)"))
            case .published(let packetID, let code): settle(packetID, code)
            case .subscribed(let packetID, let codes): subscribed(packetID, codes)
            case .lost(let reason): if !isLingering { perform(.failed(reason: reason)) }
            }
        }
    }

    private func settle(_ packetID: Int32, _ code: Int32) {
        guard let publication = inFlight.removeValue(forKey: packetID) else { return }
        if publication.message.qos == .atLeastOnce { inFlightAtLeastOnceCount -= 1 }
        publication.completion(code < 128 ? .accepted : .refused(reason: reasonText(code)))
    }

    private func subscribed(_ packetID: Int32, _ codes: [Int32]) {
        guard let subscription = pendingSubscriptions.removeValue(forKey: packetID) else { return }
        let code = codes.first ?? 128
        if code >= 128 {
            onEvent(.subscriptionRefused(filter: subscription.text, reason: reasonText(code)))
        } else if code < subscription.qos.rawValue {
            onEvent(.subscriptionRefused(filter: subscription.text, reason: "granted only with QoS \(code)"))
        }
        if pendingSubscriptions.isEmpty { onEvent(.subscribed) }
    }

    private func perform(_ input: Supervisor.Input) {
        let now = Instant.now.monotonicNanoseconds
        for action in supervisor.handle(input, now: now, chance: .random(in: 0..<1)) {
            switch action {
            case .open: open()
            case .subscribe: subscribe()
            case .close: closeClient()
            case .report(let event): onEvent(event)
            case .retry(let delay):
                queue.asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds))) { [self] in
                    perform(.retryDue)
                }
            }
        }
    }

    /// Resolver and `connect` block, so they run on a thread of their own. What comes back too late is closed there.
    private func open() {
        attempt += 1
        guard openingAttempts < MQTTConnection.maximumOpeningAttempts else {
            return perform(.failed(reason: "\(openingAttempts) earlier attempts still wait for the network"))
        }
        openingAttempts += 1
        let attempt = attempt
        let (settings, options, version, pool) = (settings, options, version, pool)
        DispatchQueue(label: "mqtt.connect").async { [self] in
            let result = Result { () throws(MQTTError) in
                try MosquittoClient(settings: settings, options: options, version: version, pool: pool)
            }
            queue.async { [self] in opened(result, attempt: attempt) }
        }
    }

    private func opened(_ result: Result<MosquittoClient, MQTTError>, attempt: Int) {
        openingAttempts -= 1
        guard attempt == self.attempt, case .opening = supervisor.state else {
            if case .success(let client) = result { client.close() }
            return
        }
        switch result {
        case .failure(let error): perform(.failed(reason: error.description))
        case .success(let client):
            let watch = SocketWatch(
                descriptor: client.descriptor, queue: queue, onReadable: { [self] in service() },
                onWritable: { [self] in service() })
            guard let watch else {
                client.close()
                return perform(.failed(reason: "no descriptor left for the socket"))
            }
            client.deliver { [unowned self] in deliver($0, packetID: $1) }
            self.client = client
            self.watch = watch
            window = options.window.map { AcknowledgeWindow(size: version == .v311 ? min($0, 20) : $0) }
            perform(.opened)
            service()
        }
    }

    private func deliver(_ message: Message, packetID: Int32) {
        // While it stops, what a windowed connection read stays unacknowledged; the rest is QoS 0.
        if isStopping { return }
        guard window != nil else { return onMessage(message) }
        openCount.add(1, ordering: .acquiringAndReleasing)
        window?.received(now: message.receivedAt.monotonicNanoseconds)
        var numbered = message
        if packetID != 0 { numbered.deliveryNumber = numbers.number(of: message, packetID: packetID) }
        onMessage(numbered)
    }

    private func subscribe() {
        guard let client else { return }
        for subscription in options.subscriptions {
            switch client.subscribe(subscription, keepsSession: options.window != nil) {
            case .success(let packetID):
                pendingSubscriptions[packetID] = subscription
                lastPacketID = packetID
            case .failure(let error):
                onEvent(.subscriptionRefused(filter: subscription.text, reason: error.description))
            }
        }
    }

    /// Frees the client; what it had not got through waits again, in front of the rest.
    private func closeClient() {
        isConnected = false
        isLingering = false
        client?.close()
        client = nil
        watch?.cancel()
        watch = nil
        window?.connectionLost()
        numbers.connectionLost()
        pendingSubscriptions.removeAll()
        lastPacketID = 0
        inFlightAtLeastOnceCount = 0
        guard !inFlight.isEmpty else { return }
        let unsent = Array(inFlight.values)
        inFlight.removeAll()
        shared.withLock { $0.outbox.putBack(unsent) }
    }

    private func tick() {
        let now = Instant.now.monotonicNanoseconds
        for publication in shared.withLock({ $0.outbox.removeExpired(now: now) }) { publication.completion(.expired) }
        if let client, isConnected, !isLingering {
            let limit = Int64(settings.keepAliveSeconds) * 1_000_000_000 * 2 / 3
            if window?.isOverdue(now: now, limitNanoseconds: limit) == true {
                // Writing would acknowledge what is not finished. The broker sends it again to the next connection.
                perform(.failed(reason: "messages were open for two thirds of the keep-alive"))
            } else if !mayRead, watch?.isHungUp(ignoresUnread: window != nil) == true {
                perform(.failed(reason: "the connection was closed"))
            } else {
                client.tick()
                handleEvents()
            }
        }
        perform(.tick)
        service()
    }

    private func settleRejected() {
        let rejected = shared.withLock { shared in
            let rejected = shared.rejected
            if !rejected.isEmpty { shared.rejected = [] }
            return rejected
        }
        for (completion, outcome) in rejected { completion(outcome) }
    }

    private func reasonText(_ code: Int32) -> String {
        version == .v5 ? MosquittoClient.reasonText(code) : "refused with code \(code)"
    }

    // MARK: Stopping

    private func beginStop(within: Duration) {
        guard !isStopping else { return }
        isStopping = true
        queue.asyncAfter(deadline: .now() + .nanoseconds(Int(max(within.nanoseconds, 0)))) { [self] in disconnect() }
        service()
    }

    /// Nothing waits, nothing is in flight, the window is acknowledged.
    private func finishStopIfDone() {
        guard isStopping, !isLingering else { return }
        let isEmpty = shared.withLock { $0.outbox.count == 0 } && inFlight.isEmpty
        let isWindowDone = window.map { $0.unacknowledgedCount == 0 } ?? true
        guard isEmpty, isWindowDone, client?.wantsWrite != true || !isConnected else { return }
        disconnect()
    }

    /// Says DISCONNECT if the broker listens and nothing unfinished would be acknowledged by that; then ends the
    /// sending direction and waits for the broker to close, so that a reset cannot overtake what was written.
    private func disconnect() {
        guard isStopping, !isLingering else { return }
        guard let client, let watch, isConnected, mayWrite else { return end() }
        isLingering = true
        client.disconnect()
        client.write()
        handleEvents()
        watch.shutdownSending()
        watch.wants(reads: true, writes: false)
        queue.asyncAfter(deadline: .now() + .milliseconds(MQTTConnection.lingerMilliseconds)) { [self] in end() }
    }

    private func linger() { if watch?.discardInput() != true { end() } }

    private func end() {
        guard supervisor.state != .stopped else { return }
        perform(.stop)
        timer?.cancel()
        timer = nil
        for publication in shared.withLock({ $0.outbox.close() }) { publication.completion(.stopped) }
        settleRejected()
        // After the cancel handlers of the socket, which are on this queue already or come before.
        queue.async { [self] in stopped.leave() }
    }
}
