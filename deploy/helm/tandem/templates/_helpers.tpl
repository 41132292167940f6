{{/* The head of an object: its name, which may have an ending, and the label by which all are found. */}}
{{- define "tandem.metadata" -}}
metadata:
  name: {{ .Release.Name }}
  labels: {app.kubernetes.io/name: {{ .Release.Name }}}
{{- end -}}

{{- define "tandem.selector" -}}
app.kubernetes.io/name: {{ .Release.Name }}
{{- end -}}

{{- define "tandem.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tandem.secret" -}}
{{ .Values.tls.secretName | default (printf "%s-tls" .Release.Name) }}
{{- end -}}

{{- define "tandem.claim" -}}
{{ .Values.modelsVolume.existingClaim | default (printf "%s-models" .Release.Name) }}
{{- end -}}

{{/* Which port has /metrics, and speaks how. */}}
{{- define "tandem.metricsPort" -}}
{{ if .Values.tls.enabled }}metrics{{ else }}http{{ end }}
{{- end -}}

{{/* How fast servers come and go, for both autoscalers. */}}
{{- define "tandem.behavior" -}}
scaleDown:
  stabilizationWindowSeconds: 600
  policies:
    - {type: Percent, value: 10, periodSeconds: 60}
{{- end -}}
