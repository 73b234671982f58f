/**
 * A request's way, as the list of its steps (protocols 1 to 3). Every step takes what the one before it made; a
 * request whose ground changed under it starts again; what fails is audited like what succeeds.
 */
import type { AuditRecord } from '../../audit/record.ts'
import { PosternError } from '../../errors.ts'
import { USED_UP } from '../../token/token.ts'
import type { Reached } from '../audit/audit-line.ts'
import { auditedResponse, auditRecord, failureLine } from '../audit/audit-line.ts'
import { StaleGeneration } from '../config/config-cache.ts'
import { helpOutcome } from '../help.ts'
import { releaseBegun } from '../lease/begun-leases.ts'
import type { Parts } from '../parts.ts'
import { answerOf, bareResponse, wrapResponse } from './answer.ts'
import type { AuthenticatedRequest, AuthorizedRequest, RoutedRequest } from './authorize.ts'
import {
  authenticate,
  checkPolicy,
  checkSealed,
  denied,
  requireMatch,
  route,
  runOf,
} from './authorize.ts'
import { operationOf, validateFields } from './call.ts'
import { changesConfig, commitRequest, isCommitNeeded, undoIssue } from './commit.ts'
import { Conflict } from './conflict.ts'
import { registerLease } from './issue.ts'
import type { Request } from './request.ts'
import type { Response } from './response.ts'
import { Turns } from './turns.ts'

/** The first try runs beside others; restarts (three at most, protocols 1.3) in turn, and others write no configuration meanwhile. */
const FREE_TRIES = 1
/** What was on its way to the store when a turn began may still come between. */
const TRIES_IN_TURN = 3

const NOTHING_TO_WRITE = Promise.resolve()

/** Progress of one request that its restarts share. */
interface Attempt {
  reached: Reached
  /** What the request line tells, and the line itself, once it is on its way. */
  record: AuditRecord | undefined
  requestLine: Promise<void> | undefined
  useTaken: boolean
  /** Ends its turn; there while it has one. */
  leaveTurn: (() => void) | undefined
  /** Ends the visit at an open door. */
  leave: (() => void) | undefined
  /** The token whose last use this request took. */
  usedUpToken: string | undefined
}

export class Pipeline {
  readonly #parts: Parts
  readonly #turns = new Turns()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Answers a request. Rejects with a PosternError that may be shown to the caller. */
  async answer(request: Request): Promise<Response> {
    const attempt: Attempt = {
      reached: { request },
      record: undefined,
      requestLine: undefined,
      useTaken: false,
      leaveTurn: undefined,
      leave: undefined,
      usedUpToken: undefined,
    }
    try {
      return await this.#answerOnFirmGround(attempt)
    } finally {
      attempt.leave?.()
      if (attempt.usedUpToken !== undefined) await this.#revokeUsedUp(attempt.usedUpToken)
    }
  }

  /** The answer stands whatever becomes of this: a used-up token opens nothing, and is swept when it ends. */
  async #revokeUsedUp(tokenId: string): Promise<void> {
    try {
      await this.#parts.revokeToken(tokenId)
    } catch (error) {
      this.#parts.log.error({ err: error }, 'a used-up token could not be revoked at once')
    }
  }

  async #answerOnFirmGround(attempt: Attempt): Promise<Response> {
    return (
      (await this.#try(attempt, FREE_TRIES)) ??
      this.#turns.take(async (leave) => {
        attempt.leaveTurn = leave
        const response = await this.#try(attempt, TRIES_IN_TURN)
        if (response) return response
        const busy = new PosternError('unavailable', 'the configuration keeps changing; try again')
        throw await this.#fail(attempt, busy)
      })
    )
  }

  /** Undefined when the ground changed each time. */
  async #try(attempt: Attempt, times: number): Promise<Response | undefined> {
    for (let tries = 0; tries < times; tries++) {
      try {
        return await this.#run(attempt)
      } catch (error) {
        await releaseBegun(this.#parts, attempt.reached.request)
        if (error instanceof StaleGeneration || error instanceof Conflict) continue
        throw await this.#fail(attempt, error)
      }
    }
    return undefined
  }

  async #run(attempt: Attempt): Promise<Response> {
    const parts = this.#parts
    const opened = await checkSealed(parts, attempt.reached.request)
    const routed = await route(parts, opened)
    attempt.reached = routed
    if (routed.match?.path.chargesMisses && routed.mount && !attempt.leave) {
      this.#checkMisses(routed)
      // Those inside may be waiting for their turn.
      leaveTurn(attempt)
      const { remoteAddress } = routed.request
      attempt.leave = await parts.missLimit.enter(remoteAddress, routed.mount.path)
      // Others may have gone first: what was read before may be of the past, and they may have missed.
      return this.#run(attempt)
    }
    this.#checkMisses(routed)
    const authenticated = await authenticate(parts, routed, attempt.useTaken)
    attempt.reached = authenticated
    this.#noteUse(attempt, authenticated)
    const authorized = await this.#authorize(attempt, authenticated)
    const requestLine = this.#auditRequest(attempt)
    const validated = validateFields(parts, authorized, {
      requestLine,
      // What follows takes as long as a host does, and nobody should wait for that.
      onBegun: () => leaveTurn(attempt),
    })
    if (authorized.operation === 'help') {
      return this.#auditResponse(attempt, bareResponse(helpOutcome(authorized), 200))
    }
    // Nothing happens before its line is written. What acts by its outcome alone does so at the commit, and may be
    // worked out meanwhile: so both lines of a read or a signature go out in one write.
    if (authorized.match.path.actsItself) await requestLine
    const outcome = await runOf(authorized.match, authorized.operation)?.(validated.call)
    const issued = registerLease(parts, validated, outcome ?? {})
    const answered = wrapResponse(parts, validated, answerOf(validated, issued))
    if (isCommitNeeded(answered)) {
      await requestLine
      if (!attempt.leaveTurn && changesConfig(answered)) await this.#turns.settled()
      await commitRequest(parts, validated, answered)
    }
    const { issuedKeys, response, token } = answered
    try {
      await this.#auditResponse(attempt, response, token)
    } catch (error) {
      await undoIssue(parts, issuedKeys, outcome?.undelivered)
      if (outcome?.followUp) parts.inBackground(outcome.followUp)
      throw error
    }
    if (outcome?.missed) this.#chargeMiss(attempt)
    await outcome?.afterwards?.()
    await outcome?.followUp?.()
    return response
  }

  /** Unauthenticated doors are shut to an address that keeps missing (protocols 3.4): before any line is written. */
  #checkMisses({ match, mount, request }: RoutedRequest): void {
    if (!match?.path.chargesMisses || !mount) return
    if (this.#parts.missLimit.allows(request.remoteAddress, mount.path)) return
    throw new PosternError('too_many_requests')
  }

  #chargeMiss({ reached: { match, mount, request } }: Attempt): void {
    if (!match?.path.chargesMisses || !mount) return
    this.#parts.missLimit.charge(request.remoteAddress, mount.path)
  }

  #noteUse(attempt: Attempt, { token }: AuthenticatedRequest): void {
    if (!token || token.numUses === 0) return
    attempt.useTaken = true
    if (token.numUses === USED_UP) attempt.usedUpToken = token.id
  }

  async #authorize(
    attempt: Attempt,
    authenticated: AuthenticatedRequest,
  ): Promise<AuthorizedRequest> {
    const { request, token } = authenticated
    if (!token && request.wrapTtlSeconds !== undefined) {
      throw new PosternError(
        'invalid_request',
        'response wrapping is not offered on unauthenticated paths',
      )
    }
    const operation = await operationOf(this.#parts, authenticated)
    attempt.reached = { ...authenticated, operation }
    const { decision, hasSudo } = await checkPolicy(authenticated, operation).catch((error) => {
      attempt.reached = {
        ...attempt.reached,
        policyResults: { allowed: false, grantingPolicies: [] },
      }
      throw error
    })
    const match = requireMatch(authenticated, operation)
    const grantingPolicies = decision?.grantingPolicies ?? (hasSudo ? ['root'] : [])
    attempt.reached = { ...attempt.reached, policyResults: { allowed: true, grantingPolicies } }
    const { mount, backend } = authenticated
    if (!mount || !backend) throw denied()
    return { ...authenticated, mount, backend, match, operation, hasSudo, grantingPolicies }
  }

  /** Sends the request line on its way, once: whoever acts or answers waits for it. */
  #auditRequest(attempt: Attempt): Promise<void> {
    if (attempt.requestLine) return attempt.requestLine
    const { audit } = this.#parts
    if (!this.#isAudited(attempt)) return NOTHING_TO_WRITE
    attempt.record = auditRecord(attempt.reached)
    attempt.requestLine = audit.logRequest(attempt.record)
    // Whoever waits for it is told; a failure before that must not end the process.
    attempt.requestLine.catch(() => {})
    return attempt.requestLine
  }

  #isAudited({ reached }: Attempt): boolean {
    return this.#parts.audit.isEnabled() && !reached.match?.path.unaudited
  }

  /** Writes the response line; when that fails, the answer must be withheld. */
  async #auditResponse(
    attempt: Attempt,
    response: Response,
    token?: Parameters<typeof auditedResponse>[1],
  ): Promise<Response> {
    const { audit } = this.#parts
    if (!this.#isAudited(attempt)) return response
    const record = attempt.record ?? auditRecord(attempt.reached)
    const responseLine = audit.logResponse({
      ...record,
      response: auditedResponse(response, token),
    })
    await Promise.all([attempt.requestLine, responseLine])
    return response
  }

  /** Audits a failure. Returns the error to show: another one when the audit log took no line. */
  async #fail(attempt: Attempt, error: unknown): Promise<PosternError> {
    const shown = this.#shown(error)
    const { audit } = this.#parts
    // A sealed server has no audit log, a shut door writes no line, and audit's own failure can't be audited.
    if (['sealed', 'too_many_requests', 'audit_failed'].includes(shown.code)) return shown
    if (shown.status < 500) this.#chargeMiss(attempt)
    if (!this.#isAudited(attempt)) return shown
    try {
      // The operation may have become known only after an earlier try wrote the request line.
      const record = failureLine(auditRecord(attempt.reached), shown)
      const { response: _none, ...line } = record
      attempt.requestLine ??= audit.logRequest(line)
      await Promise.all([attempt.requestLine, audit.logResponse(record)])
      return shown
    } catch (failure) {
      return this.#shown(failure)
    }
  }

  #shown(error: unknown): PosternError {
    if (error instanceof PosternError) {
      if (error.status >= 500 && error.cause !== undefined) {
        this.#parts.log.error({ err: error.cause }, error.message)
      }
      return error
    }
    this.#parts.log.error({ err: error }, 'a request failed unexpectedly')
    return new PosternError('internal', undefined, { cause: error })
  }
}

function leaveTurn(attempt: Attempt): void {
  attempt.leaveTurn?.()
  attempt.leaveTurn = undefined
}
