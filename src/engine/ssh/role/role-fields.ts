/** The fields of a role (contract 6.5, Decisions 2 and 9): which of them count depends on its `key_type`. */
import type { Field, FieldType } from '../../../mount/field.ts'
import { type RoleScopeFields, roleScopeFields } from '../scope/role-scope.ts'

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
  | 'no_store'
  | 'renew_rewrites_expiry'
  | 'require_host_identity'
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
  | 'key'
  | 'admin_user'
  | 'install_script'
  | 'key_option_specs'
  | 'host_keys'
type Words = 'key_type' | 'key_algorithm' | 'host_key_policy' | 'authorized_keys'
type Durations = 'ttl' | 'max_ttl' | 'not_before_duration'
type Options =
  | 'default_critical_options'
  | 'default_extensions'
  | 'required_critical_options'
  | 'required_extensions'

export type RoleFields = RoleScopeFields &
  Readonly<
    Record<Flags, FieldOf<'bool'>> &
      Record<Texts, FieldOf<'string'>> &
      Record<Durations, FieldOf<'duration'>> &
      Record<Options, FieldOf<'string-map'>> &
      Record<Words, FieldOf<'lowercase'>> &
      Record<'port' | 'key_bits', FieldOf<'int'>> &
      Record<'allowed_user_key_lengths', FieldOf<'map'>>
  >

const flag = (description: string): FieldOf<'bool'> => ({ type: 'bool', description })
const word = (description: string): FieldOf<'lowercase'> => ({ type: 'lowercase', description })
const text = (description: string): FieldOf<'string'> => ({ type: 'string', description })
const options = (description: string): FieldOf<'string-map'> => ({
  type: 'string-map',
  description,
})
const seconds = (description: string): FieldOf<'duration'> => ({ type: 'duration', description })

export const roleField: FieldOf<'string'> = text('Name of the role.')

export const roleFields: RoleFields = {
  role: roleField,
  key_type: word(
    '`otp` for one-time passwords, `ca` for certificates, `dynamic` for keys that are installed on the host. Required.',
  ),
  default_user: text(
    'User for requests that name none. Required for `otp` and `dynamic`; a `ca` role needs it among allowed_users too.',
  ),
  allowed_users: text(
    'Users that may be asked for, split at commas. `*` alone: any user, but root for `dynamic`. Empty: for `otp` and `dynamic` the default user alone, for `ca` nobody.',
  ),
  cidr_list: text(
    'For `otp` and `dynamic`: networks of the hosts that the role is for, split at commas. Empty matches no host, unless the role is named in config/zeroaddress.',
  ),
  exclude_cidr_list: text(
    'For `otp` and `dynamic`: networks inside cidr_list that the role is not for, split at commas.',
  ),
  port: {
    type: 'int',
    default: 22,
    description:
      "For `otp` and `dynamic`: port of the hosts' SSH server, told to the client. 0 means 22.",
  },
  ttl: seconds(
    'Life of what the role issues. 0: for certificates the default of the mount, for passwords and keys the tuned default of the mount or else 10 minutes.',
  ),
  max_ttl: seconds(
    'Longest life of what the role issues. 0: the maximum of the mount; for passwords and keys on an untuned mount 24 hours.',
  ),
  key: text(
    'For `dynamic`: name of the key below keys/ that logs in to the hosts. Required. Whoever writes the role needs update and sudo on that path too.',
  ),
  admin_user: text(
    'For `dynamic`: user that the key logs in as; may run everything under sudo without a password. Required.',
  ),
  key_algorithm: word(
    'For `dynamic`: `ed25519` or `rsa`, type of the key pairs. Empty: `rsa` where key_bits is given or the mount is `compat=2015`, else `ed25519`.',
  ),
  key_bits: {
    type: 'int',
    description:
      'For `dynamic`: size of RSA keys, 2048 to 4096; 1024 too where the mount is `compat=2015`. 0: 2048.',
  },
  key_option_specs: text(
    'For `dynamic`: options that stand before the key in authorized_keys, such as `restrict,pty`. Options that sshd does not know are refused.',
  ),
  install_script: text(
    'For `dynamic`: script that installs and removes keys in the place of the built-in one. Needs allow_install_scripts in the server config.',
  ),
  authorized_keys: word(
    'For `dynamic`: `user` (the default) for ~/.ssh/authorized_keys, `system` for /etc/ssh/postern/keys/<user>, which the user can not write; sshd has to be told of it.',
  ),
  host_keys: text(
    'For `dynamic`: what the hosts are known by, as lines of known_hosts with addresses, plain or hashed. `*` for the name means every host.',
  ),
  host_key_policy: word(
    'For `dynamic`: `strict` (the default with host_keys) refuses hosts that are not known; `tofu` (the default without) pins the key of such a host at first contact.',
  ),
  renew_rewrites_expiry: {
    type: 'bool',
    default: true,
    description:
      'For `dynamic`: the line on the host expires with the lease, and renewing writes it anew. false: it expires when the lease can not be renewed any more, and renewing does not contact the host.',
  },
  require_host_identity: flag(
    'For `otp`: passwords are for one enrolled host each, which signs its verify; a host that does not is refused, and the password is kept.',
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
  no_store: flag(
    'For `ca`: keeps no record of what it signs, which then is in no list and can be revoked only by serial number and issuer, or by key.',
  ),
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
    description:
      'For `ca`: id or name of the issuer that signs, looked up at each signing. `default`: the default one, and for certificates with a scope the scoped one.',
  },
  ...roleScopeFields,
}
