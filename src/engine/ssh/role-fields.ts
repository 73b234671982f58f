/** The fields of a role (contract 6.5, Decisions 2 and 9): which of them count depends on its `key_type`. */
import type { Field, FieldType } from '../../mount/field.ts'

/** A field of this type. */
export type FieldOf<T extends FieldType> = Field & { readonly type: T }

type Flags =
  | 'allow_user_certificates'
  | 'allow_host_certificates'
  | 'allowed_users_template'
  | 'default_user_template'
  | 'allowed_domains_template'
  | 'allow_bare_domains'
  | 'allow_subdomains'
  | 'allow_empty_principals'
  | 'allow_commas_in_identity_templates'
  | 'default_extensions_template'
  | 'allow_user_key_ids'
type Texts =
  | 'role'
  | 'default_user'
  | 'allowed_users'
  | 'cidr_list'
  | 'exclude_cidr_list'
  | 'allowed_domains'
  | 'allowed_critical_options'
  | 'allowed_extensions'
  | 'key_id_format'
  | 'algorithm_signer'
  | 'issuer_ref'
type Durations = 'ttl' | 'max_ttl' | 'not_before_duration'
type Options =
  | 'default_critical_options'
  | 'default_extensions'
  | 'required_critical_options'
  | 'required_extensions'

export type RoleFields = Readonly<
  Record<Flags, FieldOf<'bool'>> &
    Record<Texts, FieldOf<'string'>> &
    Record<Durations, FieldOf<'duration'>> &
    Record<Options, FieldOf<'string-map'>> &
    Record<'key_type', FieldOf<'lowercase'>> &
    Record<'port', FieldOf<'int'>> &
    Record<'allowed_user_key_lengths', FieldOf<'map'>>
>

const flag = (description: string): FieldOf<'bool'> => ({ type: 'bool', description })
const text = (description: string): FieldOf<'string'> => ({ type: 'string', description })
const options = (description: string): FieldOf<'string-map'> => ({
  type: 'string-map',
  description,
})
const seconds = (description: string): FieldOf<'duration'> => ({ type: 'duration', description })

export const roleField: FieldOf<'string'> = text('Name of the role.')

export const roleFields: RoleFields = {
  role: roleField,
  key_type: {
    type: 'lowercase',
    description: '`otp` for one-time passwords, `ca` for certificates. Required.',
  },
  default_user: text(
    'User for requests that name none. Required for `otp`; a `ca` role needs it among allowed_users too.',
  ),
  allowed_users: text(
    'Users that may be asked for, split at commas. `*` alone: any user (`ca` only). Empty: for `otp` the default user alone, for `ca` nobody.',
  ),
  cidr_list: text(
    'For `otp`: networks of the hosts that the role is for, split at commas. Empty matches no host, unless the role is named in config/zeroaddress.',
  ),
  exclude_cidr_list: text(
    'For `otp`: networks inside cidr_list that the role is not for, split at commas.',
  ),
  port: {
    type: 'int',
    default: 22,
    description: "For `otp`: port of the hosts' SSH server, told to the client. 0 means 22.",
  },
  ttl: seconds(
    'Life of what the role issues. 0: for certificates the default of the mount, for passwords the tuned default of the mount or else 10 minutes.',
  ),
  max_ttl: seconds(
    'Longest life of what the role issues. 0: the maximum of the mount; for passwords on an untuned mount 24 hours.',
  ),
  allow_user_certificates: flag(
    'For `ca`: signs certificates for users. This or allow_host_certificates has to be true.',
  ),
  allow_host_certificates: flag('For `ca`: signs certificates for hosts.'),
  allowed_users_template: flag(
    'For `ca`: allowed_users holds identity templates such as `{{identity.entity.name}}`.',
  ),
  default_user_template: flag('For `ca`: default_user holds identity templates.'),
  allowed_domains: text(
    'For `ca`: domains that host certificates may name, split at commas. `*` alone: any.',
  ),
  allowed_domains_template: flag('For `ca`: allowed_domains holds identity templates.'),
  allow_bare_domains: flag('For `ca`: a host certificate may name an allowed domain itself.'),
  allow_subdomains: flag('For `ca`: a host certificate may name anything below an allowed domain.'),
  allow_empty_principals: flag(
    'For `ca`: signs certificates without principals, which some servers accept for every user. Leave it false.',
  ),
  allow_commas_in_identity_templates: flag(
    'For `ca`: a template that yields several names joined by commas counts as these names, instead of being refused.',
  ),
  allowed_critical_options: text(
    'For `ca`: critical options that may be asked for, split at commas. Empty: any.',
  ),
  allowed_extensions: text(
    'For `ca`: extensions that may be asked for, split at commas. `*`: any. Empty: none.',
  ),
  default_critical_options: options(
    'For `ca`: critical options where the request names none. A request that names any replaces them all.',
  ),
  default_extensions: options(
    'For `ca`: extensions where the request names none. A request that names any replaces them all.',
  ),
  default_extensions_template: flag(
    'For `ca`: values of default_extensions hold identity templates.',
  ),
  required_critical_options: options(
    'For `ca`: critical options of every certificate, whatever the request says.',
  ),
  required_extensions: options(
    'For `ca`: extensions of every certificate, whatever the request says.',
  ),
  allow_user_key_ids: flag('For `ca`: the request may choose the key ID.'),
  key_id_format: text(
    'For `ca`: form of the key ID, with `{{token_display_name}}`, `{{role_name}}` and `{{public_key_hash}}`.',
  ),
  allowed_user_key_lengths: {
    type: 'map',
    description:
      'For `ca`: key types that are signed, each with its allowed sizes in bits: `{"rsa": [3072, 4096], "ed25519": 0}`. Empty: any.',
  },
  algorithm_signer: {
    type: 'string',
    default: 'default',
    description:
      "For `ca` with an RSA key: `rsa-sha2-256` (the default), `rsa-sha2-512` or `ssh-rsa`, which today's OpenSSH refuses.",
  },
  not_before_duration: {
    type: 'duration',
    default: 30,
    description:
      'For `ca`: how far back certificates are valid, for hosts whose clocks are behind.',
  },
  issuer_ref: {
    type: 'string',
    default: 'default',
    description: 'For `ca`: id or name of the issuer that signs, looked up at each signing.',
  },
}
