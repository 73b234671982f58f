/** Key shares on their way to a quorum: what unsealing, rekey and generate-root have in common. */
import { uuid } from '../../random.ts'
import { equalSecrets } from '../../redact.ts'
import { wipe } from '../envelope.ts'
import { combineShares } from './shamir.ts'

export class Quorum {
  /** Names this collection of shares; a new one is drawn for each. */
  readonly nonce: string = uuid()
  readonly required: number
  #shares: Buffer[] = []

  constructor(required: number) {
    this.required = required
  }

  get progress(): number {
    return this.#shares.length
  }

  /** Takes a share over; true when there are enough. The same share twice counts once. */
  add(share: Buffer): boolean {
    const text = share.toString('hex')
    // Every held share is compared, so that the time does not tell which one it equals.
    const matches = this.#shares.filter((held) => equalSecrets(held.toString('hex'), text))
    if (matches.length > 0) wipe(share)
    else this.#shares.push(share)
    return this.#shares.length >= this.required
  }

  /** The key that the shares give, for the caller to wipe; the shares are wiped and progress is 0 again. */
  async combine(): Promise<Buffer | undefined> {
    const key = await combineShares(this.#shares)
    this.wipe()
    return key
  }

  wipe(): void {
    for (const share of this.#shares) wipe(share)
    this.#shares = []
  }
}
