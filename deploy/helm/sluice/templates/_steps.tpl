{{/* The settings of a step: a migration has only the tables' owner, topics only Kafka, roles only the administrator. */}}
{{- define "sluice.stepSettings" -}}
{{- if eq .step.name "provision" -}}
{{- $database := .root.Values.provision.admin.database | default (ternary "sluice" "" .root.Values.cloudnativePg.enabled) }}
SLUICE_PROVISION_ADMIN_DSN_FILE: /secrets/admin/dsn
{{- with $database }}
SLUICE_PROVISION_DATABASE: {{ . }}
{{- end }}
SLUICE_PROVISION_OWNER_PASSWORD_FILE: /secrets/passwords/owner
SLUICE_PROVISION_JOB_API_PASSWORD_FILE: /secrets/passwords/job-api
SLUICE_PROVISION_JOB_API_SYSTEM_PASSWORD_FILE: /secrets/passwords/job-api-system
SLUICE_PROVISION_SCHEDULER_PASSWORD_FILE: /secrets/passwords/scheduler
SLUICE_PROVISION_EXPORTER_PASSWORD_FILE: /secrets/passwords/exporter
SLUICE_PROVISION_HISTORY_PASSWORD_FILE: /secrets/passwords/history
{{- else if eq .step.name "topics" -}}
{{- range $name, $value := include "sluice.settings" (dict "root" .root "process" (index (include "sluice.processes" .root | fromYaml) "scheduler")) | fromYaml }}
{{- if not (hasPrefix "SLUICE_SCHEDULER_" $name) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- else -}}
SLUICE_MIGRATE_POSTGRES_FILE: /secrets/owner/dsn
{{- end }}
{{- end }}

{{- define "sluice.stepMounts" -}}
{{- if eq .step.name "provision" -}}
- {name: tmp, mountPath: /tmp}
- {name: admin, mountPath: /secrets/admin, readOnly: true}
- {name: passwords, mountPath: /secrets/passwords, readOnly: true}
{{- if .root.Values.postgres.tlsSecret }}
- {name: postgres-tls, mountPath: /tls/postgres, readOnly: true}
{{- end }}
{{- else if eq .step.name "topics" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.kafka.secret.name }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- else -}}
- {name: tmp, mountPath: /tmp}
- {name: owner, mountPath: /secrets/owner, readOnly: true}
{{- if .root.Values.postgres.tlsSecret }}
- {name: postgres-tls, mountPath: /tls/postgres, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice.stepVolumes" -}}
{{- if eq .step.name "provision" -}}
{{- $provision := .root.Values.provision -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: admin
  secret: {secretName: {{ $provision.admin.secret }}, defaultMode: 0440, items: [{key: {{ $provision.admin.key }}, path: dsn}]}
- name: passwords
  secret:
    secretName: {{ $provision.passwords.secret }}
    defaultMode: 0440
    items:
      - {key: {{ $provision.passwords.ownerKey }}, path: owner}
      - {key: {{ $provision.passwords.jobApiKey }}, path: job-api}
      - {key: {{ $provision.passwords.jobApiSystemKey }}, path: job-api-system}
      - {key: {{ $provision.passwords.schedulerKey }}, path: scheduler}
      - {key: {{ $provision.passwords.exporterKey }}, path: exporter}
      - {key: {{ $provision.passwords.historyKey }}, path: history}
{{- with .root.Values.postgres.tlsSecret }}
- name: postgres-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- else if eq .step.name "topics" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .root.Values.kafka.secret.name }}
- name: kafka
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- else -}}
{{- $owner := .root.Values.postgres.owner -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: owner
  secret: {secretName: {{ $owner.secret }}, defaultMode: 0440, items: [{key: {{ $owner.key }}, path: dsn}]}
{{- with .root.Values.postgres.tlsSecret }}
- name: postgres-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end }}
