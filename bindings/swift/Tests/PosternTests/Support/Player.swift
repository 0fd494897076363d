import Foundation
import Postern

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Plays a scenario: does what the person does, and compares what the SDK announces.
final class Player {
    private let world: World
    private let simulator: Simulator
    private let person: Person
    private let other: Person?
    private let phone: Phone
    /// The last announced state that was expected.
    private var state = LoginState.resolving
    /// Where the newest SMS went.
    private var submittedPhone: String?

    static func play(_ scenario: Scenario, in world: World) async throws {
        let simulator = Simulator(addresses: world.simulator)
        try await simulator.clearFaults()
        let played: Result<Void, any Error>
        do {
            let player = try await Player(scenario, world, simulator)
            played = .success(try await player.play(scenario))
        } catch {
            played = .failure(error)
        }
        // Also after a failure: the next scenario begins in a sound world.
        try await simulator.clearFaults()
        try played.get()
    }

    private init(_ scenario: Scenario, _ world: World, _ simulator: Simulator) async throws {
        self.world = world
        self.simulator = simulator
        person = try await simulator.person(scenario.person)
        if let wish = scenario.other { other = try await simulator.person(wish) } else { other = nil }
        try await simulator.forgetRequests()
        // Named by the person, who is unique: the vault is empty.
        phone = try Phone(world, folder: URL(fileURLWithPath: world.scratch).appendingPathComponent("swift-\(person.weChatPerson)"))
    }

    private func play(_ scenario: Scenario) async throws {
        try await lines("before", scenario.before)
        try await simulator.forgetRequests()
        try await lines("steps", scenario.steps)
        try nothingMore()
        guard state.name == scenario.endsIn else { throw Trouble("ended in \(state.name), not in \(scenario.endsIn)") }
        guard let expected = scenario.roundTrips else { return }
        let requests = try await simulator.gatewayRequests()
        let counted = requests.filter { $0 == "POST /v1/login" }.count
        guard counted == expected else { throw Trouble("\(counted) round trips, not \(expected): \(requests)") }
    }

    private func lines(_ part: String, _ lines: [Line]) async throws {
        for (index, line) in lines.enumerated() {
            do {
                switch line {
                case .act(let action): try await perform(action)
                case .expect(let name, let facts): try await expect(name, facts)
                }
            } catch {
                throw Trouble("\(part), line \(index + 1) (\(line)): \(error)")
            }
        }
    }

    private func expect(_ name: String, _ facts: [String: JSON]) async throws {
        state = try await phone.announced().next()
        guard state.name == name else { throw Trouble("announced \(state.name) \(state.facts)") }
        for (fact, value) in facts where state.facts[fact] != value {
            throw Trouble("announced \(state.name) \(state.facts): \(fact) should be \(value)")
        }
    }

    /// A state that is announced without being expected is a failure.
    private func nothingMore() throws {
        while let state = try phone.announced().already() {
            if case .resolving = state { continue }
            throw Trouble("nobody expected \(state.name) \(state.facts)")
        }
    }

    private func perform(_ action: Action) async throws {
        switch action {
        case .restart:
            try nothingMore()
            state = .resolving
            try phone.restart()
        case .fault(let fault): try await simulator.fault(fault)
        case .clearFaults: try await simulator.clearFaults()
        case .session(let action): try await session(action)
        case .sessions(let expected):
            let counted = try await phone.postern().account.sessions().count
            guard counted == expected else { throw Trouble("\(counted) sessions") }
        case .inboxCount(let expected):
            let counted = try await simulator.inbox(newestPhone).count
            guard counted == expected else { throw Trouble("\(counted) messages") }
        case .advice(let advice):
            let said = try await phone.postern().requireIdentity(advice.operation)
            guard snake("\(said)") == advice.word else { throw Trouble("the advice was \(said)") }
        case .weChat(let action):
            // Round trips are counted from the provider's answer.
            try await simulator.forgetRequests()
            try await weChat(action)
        case .invalid(let action):
            do { try await answer(action) } catch let error as StepError where error != .superseded && error != .closed && error != .internalFailure {
                return
            }
            throw Trouble("not told to be invalid")
        default: try await answer(action)
        }
    }

    /// What the person does to the present step.
    private func answer(_ action: Action) async throws {
        switch (action, state) {
        case (.choose("wechat"), .ready(_, let step)): try await step.choose(.weChat)
        case (.submitPhone(let text), .phoneNeeded(_, let step)):
            let phone = try resolve(text)
            submittedPhone = phone
            try await step.submit(phone)
        case (.submitCode(let text), .smsCodeNeeded(_, let step)): try await step.submit(try await code(text))
        case (.resend, .smsCodeNeeded(_, let step)): try await step.resend()
        case (.changePhone, .smsCodeNeeded(_, let step)): try await step.changePhone()
        case (.submitLoginPassword(let text), .verificationNeeded(_, let step)): try await step.submit(loginPassword: resolve(text))
        case (.submitCard(let card), .verificationNeeded(_, let step)):
            try await step.submit(cardNumber: resolve(card.number), withdrawalPassword: resolve(card.withdrawalPassword))
        case (.register(let text), .registrationNeeded(_, let step)): try await step.submit(loginPassword: resolve(text))
        case (.face(.decline), .faceNeeded(_, let step)): try await step.decline()
        case (.face(let outcome), .faceNeeded(let info, let step)):
            try await step.submit(ticket: try await simulator.face(info.faceSession, outcome: outcome.rawValue))
        case (.askAgain, .refused(_, let step)): try await step.askAgain()
        case (.dismiss, .refused(_, let step)): try await step.dismiss()
        case (.startOver, .stopped(_, let step)): try await step.startOver()
        case (.cancel, .authorizing(_, let step)): try await step.cancel()
        case (.cancel, .phoneNeeded(_, let step)): try await step.cancel()
        case (.cancel, .smsCodeNeeded(_, let step)): try await step.cancel()
        case (.cancel, .verificationNeeded(_, let step)): try await step.cancel()
        case (.cancel, .registrationNeeded(_, let step)): try await step.cancel()
        case (.cancel, .faceNeeded(_, let step)): try await step.cancel()
        default: throw Trouble("nobody can do that in \(state.name)")
        }
    }

    private func weChat(_ action: Action.WeChat) async throws {
        guard case .authorizing(let request, let step) = state else { throw Trouble("nobody can do that in \(state.name)") }
        var person = person
        var decision = "agree"
        switch action {
        case .none: return try await step.returnedWithoutAnswer()
        case .missing: return try await step.appMissing()
        case .agree: break
        case .agreeAsOther:
            guard let other else { throw Trouble("there is nobody else") }
            person = other
        case .refuse:
            // A person reads the page first; an answer that is quicker is none of theirs.
            try await Task.sleep(nanoseconds: 1_500_000_000)
            decision = "refuse"
        case .refuseAtOnce: decision = "refuse"
        case .close: decision = "close"
        }
        let answer = try await simulator.weChat(
            person,
            appID: request.providerAppID,
            scope: request.scope,
            state: request.state,
            decision: decision
        )
        try await step.answer(ProviderReply(state: answer.state, code: answer.code, errorCode: answer.errCode))
    }

    private func session(_ action: Action.Session) async throws {
        let postern = try phone.postern()
        let session = postern.session
        switch action {
        case .isSignedIn:
            guard case .signedIn = try await session.status() else { throw Trouble("not signed in") }
        case .isSignedOut:
            switch try await session.status() {
            case .signedOut, .needsLogin: break
            case let status: throw Trouble("the session is \(status)")
            }
        case .renew: try await session.renew()
        case .renewRefused:
            do { try await session.renew() } catch SessionError.needsLogin { return }
            throw Trouble("renewed")
        case .renewUnavailable:
            do { try await session.renew() } catch SessionError.offline { return } catch SessionError.unavailable { return }
            throw Trouble("renewed")
        case .account: _ = try await postern.account.summary()
        case .signOut: try await session.signOut()
        case .endAtServer: try await endAtServer(session)
        }
    }

    /// Ends the session behind the SDK's back, as another device or the bank would.
    private func endAtServer(_ session: Session) async throws {
        var request = URLRequest(url: world.accountCenter.appendingPathComponent("v1/sessions/current"))
        request.httpMethod = "DELETE"
        let (_, response) = try await URLSession.shared.data(for: try await session.authorize(request).urlRequest)
        guard (response as? HTTPURLResponse)?.statusCode == 204 else { throw Trouble("ending the session: \(response)") }
    }

    /// The number that was submitted last.
    private var newestPhone: String { submittedPhone ?? person.phone }

    private func code(_ text: String) async throws -> String {
        guard text == "$inbox" || text == "wrong" else { return try resolve(text) }
        let right = try await simulator.newestCode(newestPhone)
        guard text == "wrong" else { return right }
        guard let number = Int(right) else { throw Trouble("the code is no number") }
        return String(String(1_000_000 + (number + 1) % 1_000_000).dropFirst())
    }

    /// `$value` of the person, `$other.value` of the other one, or the text itself.
    private func resolve(_ text: String) throws -> String {
        guard text.hasPrefix("$") else { return text }
        let ofOther = text.hasPrefix("$other.")
        let name = String(text.dropFirst(ofOther ? "$other.".count : 1))
        guard let value = (ofOther ? other : person)?.values[name]?.text else { throw Trouble("nobody has \(text)") }
        return value
    }
}
