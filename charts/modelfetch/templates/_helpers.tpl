{{/* Beginning of every name: the release's, with the chart's where that does not hold it. */}}
{{- define "modelfetch.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Name of the operator's objects. */}}
{{- define "modelfetch.operator" -}}
{{ include "modelfetch.fullname" . }}-operator
{{- end -}}

{{- define "modelfetch.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "modelfetch.operator" .) }}
{{- else -}}
{{ required "serviceAccount.name must be given where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* Labels of every object; the CRDs bring the first two themselves. */}}
{{- define "modelfetch.labels" -}}
app.kubernetes.io/name: modelfetch
app.kubernetes.io/part-of: modelfetch
{{ include "modelfetch.releaseLabels" . }}
{{- end -}}

{{- define "modelfetch.releaseLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of what belongs to the operator. */}}
{{- define "modelfetch.operatorLabels" -}}
app.kubernetes.io/component: operator
{{ include "modelfetch.labels" . }}
{{- end -}}

{{/* Labels that find the operator's Pod: they never change, since a Deployment's selector cannot. */}}
{{- define "modelfetch.selector" -}}
app.kubernetes.io/name: modelfetch
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "modelfetch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A number as digits: YAML's numbers are floats in templates, and 1000660000 would print as 1.00066e+09. */}}
{{- define "modelfetch.digits" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ int64 . }}{{ end -}}
{{- end -}}

{{/* The operator's environment: one variable for each value that it obeys, so that there is one way to say a thing. */}}
{{- define "modelfetch.environment" -}}
- name: MODELFETCH_IMAGE
  value: {{ include "modelfetch.image" . }}
- name: MODELFETCH_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
- name: MODELFETCH_RUN_AS_USER
  value: {{ include "modelfetch.digits" .Values.fetchPods.runAsUser | quote }}
- name: MODELFETCH_HUGGINGFACE_ENDPOINT
  value: {{ .Values.huggingFaceEndpoint }}
- name: MODELFETCH_ALLOW_HTTP
  value: {{ .Values.egress.allowHttp | quote }}
- name: MODELFETCH_NAMESPACE_SLOTS
  value: {{ include "modelfetch.digits" .Values.namespaceSlots | quote }}
- name: MODELFETCH_PROGRESS_INTERVAL
  value: {{ .Values.progressInterval | quote }}
- name: MODELFETCH_LOG_FORMAT
  value: {{ .Values.logFormat }}
- name: MODELFETCH_LEASE_NAME
  value: {{ include "modelfetch.operator" . }}
- name: MODELFETCH_IDENTITY
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
{{- with .Values.egress.allowNetworks }}
- name: MODELFETCH_ALLOW_NETWORKS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.egress.allowPorts }}
{{- $ports := list }}
{{- range . }}{{ $ports = append $ports (include "modelfetch.digits" .) }}{{ end }}
- name: MODELFETCH_ALLOW_PORTS
  value: {{ join "," $ports | quote }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: MODELFETCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
