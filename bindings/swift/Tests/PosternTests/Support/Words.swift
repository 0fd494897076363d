import Postern

// A state in the words of contract/scenarios.md: its name and its facts.
extension LoginState {
    var name: String {
        switch self {
        case .ready: "ready"
        case .authorizing: "authorizing"
        case .refused: "refused"
        case .resolving: "resolving"
        case .phoneNeeded: "phone_needed"
        case .smsCodeNeeded: "sms_code_needed"
        case .verificationNeeded: "verification_needed"
        case .registrationNeeded: "registration_needed"
        case .faceNeeded: "face_needed"
        case .loggedIn: "logged_in"
        case .stopped: "stopped"
        }
    }

    var facts: [String: JSON] {
        switch self {
        case .ready(let info, _): ["failure": code(info.failure)]
        case .authorizing, .resolving: [:]
        case .refused(let refusal, _): ["kind": .string(snake("\(refusal.kind)"))]
        case .phoneNeeded(let info, _): ["failure": code(info.failure)]
        case .smsCodeNeeded(let info, _): ["attempts_left": number(info.attemptsLeft), "failure": code(info.failure)]
        case .verificationNeeded(let info, _):
            [
                "methods": .array(info.methods.map { .string(snake("\($0)")) }),
                "attempts_left": number(info.attemptsLeft),
                "failure": code(info.failure),
            ]
        case .registrationNeeded(let info, _): ["failure": code(info.failure)]
        case .faceNeeded(let info, _): ["attempts_left": number(info.attemptsLeft), "failure": code(info.failure)]
        case .loggedIn(let account): ["identification": .string("\(account.identification)")]
        case .stopped(let stop, _): ["reason": .string(snake("\(stop.reason)"))]
        }
    }
}

private func code(_ failure: Failure?) -> JSON { failure.map { .string($0.code) } ?? .null }
private func number(_ value: Int) -> JSON { .number(Double(value)) }

/// `phoneNeeded` as the contract writes it: `phone_needed`.
func snake(_ camel: String) -> String {
    camel.reduce(into: "") { text, letter in
        if letter.isUppercase { text.append("_") }
        text.append(contentsOf: letter.lowercased())
    }
}
