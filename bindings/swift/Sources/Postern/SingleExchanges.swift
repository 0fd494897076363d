import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A `URLSession` of its own that follows no redirect and keeps nothing on the disk.
///
/// A delegate for the whole session: on Linux a task with a completion handler would follow a redirect, headers and all.
final class SingleExchanges: Sendable {
    private let session = Locked<URLSession?>(nil)
    private let delegate = ExchangeDelegate()

    deinit {
        // A URLSession holds its delegate until it is told to end.
        session.withLock { $0 }?.finishTasksAndInvalidate()
    }

    func data(for request: URLRequest) async throws -> (Data, URLResponse) {
        try Task.checkCancellation()
        let task = made().dataTask(with: request)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                delegate.expect(task, continuation)
                task.resume()
            }
        } onCancel: {
            task.cancel()
        }
    }

    /// Made at the first request: many apps bring their own stack.
    private func made() -> URLSession {
        session.withLock { session in
            if let session { return session }
            let made = URLSession(configuration: .ephemeral, delegate: delegate, delegateQueue: nil)
            session = made
            return made
        }
    }
}

/// Collects what the tasks receive.
private final class ExchangeDelegate: NSObject, URLSessionDataDelegate {
    private struct Exchange {
        let continuation: CheckedContinuation<(Data, URLResponse), any Error>
        var body = Data()
    }

    private let exchanges = Locked<[Int: Exchange]>([:])

    func expect(_ task: URLSessionTask, _ continuation: CheckedContinuation<(Data, URLResponse), any Error>) {
        exchanges.withLock { $0[task.taskIdentifier] = Exchange(continuation: continuation) }
    }

    func urlSession(_: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        exchanges.withLock { $0[dataTask.taskIdentifier]?.body.append(data) }
    }

    func urlSession(
        _: URLSession,
        task _: URLSessionTask,
        willPerformHTTPRedirection _: HTTPURLResponse,
        newRequest _: URLRequest,
        completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    func urlSession(_: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        guard let exchange = exchanges.withLock({ $0.removeValue(forKey: task.taskIdentifier) }) else { return }
        if let response = task.response, error == nil {
            exchange.continuation.resume(returning: (exchange.body, response))
        } else {
            exchange.continuation.resume(throwing: error ?? URLError(.badServerResponse))
        }
    }
}
