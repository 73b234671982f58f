/** Reads the members of a statement's JSON strictly (protocols 5.6); members that nobody asks for are ignored. */
import { SshFormatError } from '../../errors.ts'

/** Every method throws SshFormatError when the member is not there or of another type. */
export class MemberReader {
  readonly #members: ReadonlyMap<string, unknown>
  readonly #name: string

  private constructor(members: ReadonlyMap<string, unknown>, name: string) {
    this.#members = members
    this.#name = name
  }

  /** `name` is what messages call the text, which has to be a JSON object. */
  static ofText(text: string, name: string): MemberReader {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new SshFormatError(`the ${name} is not JSON`)
    }
    return MemberReader.ofValue(value, name)
  }

  /** Of a value that JSON.parse gave. */
  static ofValue(value: unknown, name: string): MemberReader {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new SshFormatError(`the ${name} is not an object`)
    }
    return new MemberReader(new Map(Object.entries(value)), name)
  }

  has(member: string): boolean {
    return this.#members.has(member)
  }

  member(member: string): unknown {
    return this.#members.get(member)
  }

  text(member: string, form: RegExp = /^[^\0\r\n]+$/): string {
    const value = this.#members.get(member)
    if (typeof value === 'string' && form.test(value)) return value
    throw this.refusal(member, 'is not the text that it should be')
  }

  optionalText(member: string): string | undefined {
    return this.#members.has(member) ? this.text(member) : undefined
  }

  texts(member: string): string[] {
    const value = this.#members.get(member)
    const isText = (one: unknown) => typeof one === 'string' && /^[^\0\r\n]+$/.test(one)
    if (Array.isArray(value) && value.every(isText)) return value
    throw this.refusal(member, 'is not a list of texts')
  }

  /** Not negative, and exact. */
  integer(member: string): number {
    const value = this.#members.get(member)
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
    throw this.refusal(member, 'is not a whole number')
  }

  boolean(member: string): boolean {
    const value = this.#members.get(member)
    if (typeof value === 'boolean') return value
    throw this.refusal(member, 'is not true or false')
  }

  refusal(member: string, fault: string): SshFormatError {
    return new SshFormatError(`the ${this.#name}'s ${member} ${fault}`)
  }
}
