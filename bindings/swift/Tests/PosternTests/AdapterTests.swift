import Foundation
import Postern
import XCTest

/// An adapter that does what a test tells it, and keeps what it was asked.
private final class FakeAdapter: ProviderAdapter {
    let provider = Provider.weChat
    let installed = Box(true)
    let asked = Box<[String]>([])
    let onAuthorize: @Sendable (AuthorizationRequest, any ProviderReplies) throws -> Void

    init(_ onAuthorize: @escaping @Sendable (AuthorizationRequest, any ProviderReplies) throws -> Void = { _, _ in }) {
        self.onAuthorize = onAuthorize
    }

    var isInstalled: Bool { installed.value }

    func authorize(_ request: AuthorizationRequest, reply: any ProviderReplies) throws {
        MainActor.assertIsolated()
        asked.change { $0.append("authorize \(request.providerAppID) \(request.scope)") }
        try onAuthorize(request, reply)
    }

    func resume(_ request: AuthorizationRequest, reply: any ProviderReplies) throws {
        asked.change { $0.append("resume") }
        reply.answered(ProviderReply(state: request.state, code: "0815", errorCode: 0))
    }
}

final class AdapterTests: XCTestCase {
    private let center = FakeCenter()
    private let log = FakeLog()

    private func postern(_ adapter: FakeAdapter, vault: any Vault = FakeVault(), config: PosternConfig? = nil) throws -> Postern {
        let postern = try Postern(config ?? FakeCenter.config(self), vault: vault, transport: center, adapters: [adapter], log: log)
        addTeardownBlock { postern.shutdown() }
        return postern
    }

    /// What the attempt at the button came to.
    private func refusal(_ adapter: FakeAdapter) async throws -> RefusalKind {
        let announced = Announced(try postern(adapter).login())
        try await announced.ready().choose(.weChat)
        _ = try await announced.authorizing()
        return try await announced.next { if case .refused(let refusal, _) = $0 { refusal.kind } else { nil } }
    }

    func testL3AnAdapterIsCalledOnTheMainActorAndItsAnswerLeadsOn() async throws {
        let adapter = FakeAdapter { request, reply in reply.answered(ProviderReply(state: request.state, code: "0815", errorCode: 0)) }
        let announced = Announced(try postern(adapter).login())
        try await announced.ready().choose(.weChat)
        _ = try await announced.authorizing()
        _ = try await announced.phoneNeeded()
        XCTAssertEqual(adapter.asked.value, ["authorize wx1 snsapi_userinfo"])
    }

    func testAMissingAppIsNotOpened() async throws {
        let adapter = FakeAdapter()
        adapter.installed.value = false
        let kind = try await refusal(adapter)
        XCTAssertEqual(kind, .appMissing)
        XCTAssertEqual(adapter.asked.value, [])
    }

    func testEachWordLeadsToItsState() async throws {
        let without = try await refusal(FakeAdapter { _, reply in reply.returnedWithoutAnswer() })
        let closed = try await refusal(FakeAdapter { request, reply in reply.answered(ProviderReply(state: request.state, errorCode: -2)) })
        XCTAssertEqual([without, closed], [.returnedWithoutAnswer, .cancelled])
    }

    func testTheFirstWordCounts() async throws {
        let adapter = FakeAdapter { _, reply in
            reply.returnedWithoutAnswer()
            reply.appMissing()
            reply.cancelled()
        }
        let kind = try await refusal(adapter)
        XCTAssertEqual(kind, .returnedWithoutAnswer)
    }

    func testAnAdapterThatThrowsIsAFailureOfTheProvider() async throws {
        let kind = try await refusal(FakeAdapter { _, _ in throw Boom() })
        XCTAssertEqual(kind, .providerFailed)
        XCTAssertTrue(log.lines.value.contains("warn swift: the adapter of weChat threw Boom"), "\(log.lines.value)")
        XCTAssertFalse(log.lines.value.contains { $0.contains("SECRET") })
    }

    func testAnAttemptThatANewProcessFindsIsResumedAndTheProviderNotOpenedTwice() async throws {
        let vault = FakeVault()
        let config = try FakeCenter.config(self)
        do {
            let opened = FakeAdapter()
            let first = try Postern(config, vault: vault, transport: center, adapters: [opened])
            let announced = Announced(first.login())
            try await announced.ready().choose(.weChat)
            _ = try await announced.authorizing()
            try await eventually("opened") { opened.asked.value.count == 1 }
        }
        let adapter = FakeAdapter()
        let announced = Announced(try postern(adapter, vault: vault, config: config).login())
        let (request, _) = try await announced.authorizing()
        XCTAssertTrue(request.isResumed)
        _ = try await announced.phoneNeeded()
        XCTAssertEqual(adapter.asked.value, ["resume"])
    }

    func testAProviderWithoutAnAdapterIsLeftToTheApp() async throws {
        let postern = try Postern(FakeCenter.config(self), vault: .memory, transport: center)
        addTeardownBlock { postern.shutdown() }
        let announced = Announced(postern.login())
        try await announced.ready().choose(.weChat)
        let (request, step) = try await announced.authorizing()
        XCTAssertFalse(request.isResumed)
        try await step.cancel()
        _ = try await announced.ready()
    }
}
