/** What every audit device can do (contract section 10, protocols 2.2). */

export interface AuditDevice {
  /** Makes the device ready to write. Rejects with the reason; writing tries again by itself. */
  open(): Promise<void>

  /** Takes one line, without its newline. Resolves when the device has all of it; rejects within three seconds otherwise. */
  write(line: string): Promise<void>

  /** Lets go of what is open and opens it anew; when that fails the old one stays in use. */
  reopen(): Promise<void>

  /** Finishes the lines under way; those that come later are refused. */
  close(): Promise<void>
}
