import Foundation
import XCTest

@testable import Postern

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Whatever can hold a secret prints a placeholder, however it is printed.
final class RedactionTests: XCTestCase {
    private static let secret = "SECRET"
    private static let url = URL(string: "https://login.bank.example/SECRET")

    /// Every way that a value gets into a log, a debugger or a crash report by accident.
    private func printed(_ value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        var dumpedInside = ""
        dump(["in": [value]], to: &dumpedInside)
        return [
            "\(value)", String(describing: value), String(reflecting: value), "\([value])", "\(Optional(value) as Any)",
            String(reflecting: Optional(value) as Any), dumped, dumpedInside, "\(Mirror(reflecting: value).children.map { "\($0)" })",
        ]
    }

    private func assertRedacted(_ value: Any, file: StaticString = #filePath, line: UInt = #line) {
        for text in printed(value) {
            XCTAssertFalse(text.contains(Self.secret), text, file: file, line: line)
            XCTAssertFalse(text.isEmpty, file: file, line: line)
        }
    }

    private func samples() -> (FFIAuthorizationRequest, FFISmsCodeInfo, FFIFaceInfo, FFIAccountSummary) {
        let secret = Self.secret
        return (
            FFIAuthorizationRequest(provider: .weChat, providerAppId: "wx1", scope: "s", state: secret, resumed: false),
            FFISmsCodeInfo(sentTo: secret, digits: 6, attemptsLeft: 5, resendAfter: 0, codeExpiresIn: 1, failure: nil, expiresIn: 1),
            FFIFaceInfo(
                faceSession: secret,
                url: "https://face.example/\(secret)",
                nonce: secret,
                alternative: FFILocalizedText(zh: "柜台", en: "a branch"),
                attemptsLeft: 3,
                failure: nil,
                expiresIn: 1
            ),
            FFIAccountSummary(
                userId: secret,
                identification: .signed,
                phoneMasked: secret,
                nickname: secret,
                avatarUrl: "https://x.example/\(secret)",
                bindings: []
            )
        )
    }

    func testFactsPrintNothingPersonal() {
        let (request, code, face, account) = samples()
        assertRedacted(AuthorizationRequest(request))
        assertRedacted(SMSCodeInfo(code))
        assertRedacted(FaceInfo(face))
        assertRedacted(AccountSummary(account))
        assertRedacted(SessionStatus.signedIn(AccountSummary(account)))
        assertRedacted(ProviderReply(state: Self.secret, code: Self.secret, errorCode: 0))
        let session = FFISessionSummary(sessionId: Self.secret, createdAt: 1, lastUsedAt: 1, beganWith: "wechat", current: true)
        assertRedacted(SessionSummary(session))
    }

    func testWhatIsPrintedStillSaysWhatItIs() {
        let (request, _, _, account) = samples()
        XCTAssertEqual("\(AuthorizationRequest(request))", "AuthorizationRequest(weChat, resumed: false, [redacted])")
        XCTAssertEqual("\(LoginState.loggedIn(AccountSummary(account)))", "loggedIn(AccountSummary(signed, [redacted]))")
        XCTAssertEqual(String(reflecting: LoginState.resolving), "resolving")
    }

    func testTransportMessagesPrintNoHeaderAndNoBody() throws {
        let url = try XCTUnwrap(Self.url)
        let headers = ["authorization": "DPoP \(Self.secret)"]
        assertRedacted(TransportRequest(method: "POST", url: url, headers: headers, body: Data(Self.secret.utf8)))
        assertRedacted(TransportReply(status: 200, headers: headers, body: Data(Self.secret.utf8)))
    }

    func testStatesAndTheirStepsPrintNothingPersonalOnTheWholeWay() async throws {
        let center = FakeCenter()
        center.manners.change { $0.knowsThePerson = true }
        var config = try FakeCenter.config(self)
        config.region = Self.secret
        let vault = FakeVault()
        let adapter = KeepingAdapter()
        let postern = try Postern(config, vault: vault, transport: center, adapters: [adapter])
        addTeardownBlock { postern.shutdown() }
        assertRedacted(config)
        let login = postern.login()
        var states: [LoginState] = []
        let observation = Box<[LoginState]>([])
        let observing = login.observe { state in observation.change { $0.append(state) } }
        let announced = Announced(login)
        try await announced.agree(try await announced.ready())
        _ = try await announced.loggedIn()
        observing.cancel()
        states = observation.value
        XCTAssertGreaterThan(states.count, 3)
        for state in states {
            assertRedacted(state)
            if case .ready(_, let step) = state { assertRedacted(step) }
            if case .authorizing(let request, let step) = state {
                assertRedacted(step)
                for text in printed(state) + printed(step) { XCTAssertFalse(text.contains(request.state), text) }
            }
        }
        for object in [postern, login, observing, postern.session, postern.account] as [Any] { assertRedacted(object) }
        try await eventually("the adapter was asked") { adapter.reply.value != nil }
        assertRedacted(try XCTUnwrap(adapter.reply.value))
    }

    func testAnAuthorizedRequestPrintsNeitherTokenNorProof() async throws {
        let center = FakeCenter()
        center.manners.change { $0.knowsThePerson = true }
        let postern = try Postern(FakeCenter.config(self), vault: .memory, transport: center)
        addTeardownBlock { postern.shutdown() }
        let announced = Announced(postern.login())
        try await announced.agree(try await announced.ready())
        _ = try await announced.loggedIn()
        let api = try XCTUnwrap(URL(string: "https://api.bank.example/orders"))
        let authorized = try await postern.session.authorize(URLRequest(url: api))
        XCTAssertEqual(authorized.urlRequest.value(forHTTPHeaderField: "Authorization"), "DPoP \(FakeCenter.token)")
        let proof = try XCTUnwrap(authorized.urlRequest.value(forHTTPHeaderField: "DPoP"))
        for text in printed(authorized) {
            XCTAssertFalse(text.contains(FakeCenter.token), text)
            XCTAssertFalse(text.contains(proof), text)
        }
    }

    func testErrorsOfTheLibraryLoseWhatTheyDoNotName() {
        XCTAssertEqual(StepError(Boom()), .internalFailure)
        XCTAssertEqual(SessionError(Boom()), .internalFailure)
        XCTAssertEqual(OptionsError(Boom()), .internalFailure)
        XCTAssertEqual(SetupError(Boom()), .internalFailure)
        for error in [StepError(Boom()), SessionError(Boom()), OptionsError(Boom()), SetupError(Boom())] as [any Error] {
            assertRedacted(error)
            XCTAssertEqual(error.localizedDescription, "an internal failure")
        }
    }

    func testEveryStateAndStepPrintsNothingPersonal() {
        let (request, code, face, account) = samples()
        let failure = FFIFailure(kind: .answerWrong, code: "sms_code_wrong", retryAfter: 1, requestId: "r")
        let rules = FFIPasswordRules(minLength: 8, maxLength: 64, minClasses: 2)
        let stop = FFIStop(reason: .refused, code: "internal", retryAfter: nil, alternative: nil, requestId: nil, canTryAgain: false)
        let verification = FFIVerificationInfo(methods: [.card], attemptsLeft: 5, failure: failure, expiresIn: 1)
        // The generated objects' own fakes: they are never called.
        let steps: [any Redacted] = [
            ReadyStep(FFIReadyStep(noHandle: .init())), AuthorizingStep(FFIAuthorizingStep(noHandle: .init())),
            RefusedStep(FFIRefusedStep(noHandle: .init())), PhoneStep(FFIPhoneStep(noHandle: .init())),
            SMSCodeStep(FFISmsCodeStep(noHandle: .init())), VerificationStep(FFIVerificationStep(noHandle: .init())),
            RegistrationStep(FFIRegistrationStep(noHandle: .init())), FaceStep(FFIFaceStep(noHandle: .init())),
            StoppedStep(FFIStoppedStep(noHandle: .init())),
        ]
        for step in steps {
            assertRedacted(step)
            XCTAssertEqual("\(step)", "\(type(of: step))")
            XCTAssertEqual(Mirror(reflecting: step).children.count, 0)
        }
        let states: [FFILoginState] = [
            .ready(info: FFIReadyInfo(failure: failure), step: FFIReadyStep(noHandle: .init())),
            .authorizing(request: request, step: FFIAuthorizingStep(noHandle: .init())),
            .refused(refusal: FFIRefusal(provider: .weChat, kind: .denied, settingsHint: nil), step: FFIRefusedStep(noHandle: .init())),
            .resolving,
            .phoneNeeded(info: FFIPhoneInfo(failure: failure, expiresIn: 1), step: FFIPhoneStep(noHandle: .init())),
            .smsCodeNeeded(info: code, step: FFISmsCodeStep(noHandle: .init())),
            .verificationNeeded(info: verification, step: FFIVerificationStep(noHandle: .init())),
            .registrationNeeded(
                info: FFIRegistrationInfo(rules: rules, failure: nil, expiresIn: 1),
                step: FFIRegistrationStep(noHandle: .init())
            ),
            .faceNeeded(info: face, step: FFIFaceStep(noHandle: .init())),
            .loggedIn(account: account),
            .stopped(stop: stop, step: FFIStoppedStep(noHandle: .init())),
        ]
        for state in states.map(LoginState.init) {
            assertRedacted(state)
            XCTAssertEqual(Mirror(reflecting: state).children.count, 0)
            XCTAssertTrue("\(state)".hasPrefix(String(snake(state.name).split(separator: "_")[0])), "\(state)")
        }
    }
}

private final class KeepingAdapter: ProviderAdapter {
    let provider = Provider.weChat
    let reply = Box<(any ProviderReplies)?>(nil)
    var isInstalled: Bool { true }
    func authorize(_: AuthorizationRequest, reply: any ProviderReplies) { self.reply.value = reply }
}
